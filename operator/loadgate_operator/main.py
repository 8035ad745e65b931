"""`loadgate-operator`: the operator as a process beside a Kubernetes API server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loadgate.api.defaults import load_pods
from loadgate.api.faults import InvalidSpec
from loadgate.api.pods import PodTemplate
from loadgate.api.yamltree import MAX_BYTES
from loadgate_operator import garbage, lag, memory
from loadgate_operator.api_metrics import ApiMetrics
from loadgate_operator.cluster.kubernetes import Api, ConnectionFaultError, KubernetesCluster, Scope, connect
from loadgate_operator.cluster.kubernetes.api import NotFoundError
from loadgate_operator.cluster.kubernetes.lists import list_all
from loadgate_operator.cluster.port import ClusterError, Kind, RefusedError
from loadgate_operator.collect import Collector, RunnerClient
from loadgate_operator.flags import Flags, parse
from loadgate_operator.leader import Leader, LeaseSettings
from loadgate_operator.logs import set_up
from loadgate_operator.manifests.job import RunnerSettings
from loadgate_operator.reconcile.model import Settings
from loadgate_operator.reconcile.reconciler import Options, Reconciler
from loadgate_operator.serve import serving
from loadgate_operator.steady import SteadyClock
from loadgate_operator.telemetry import OperatorMetrics

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from loadgate_operator.cluster.kubernetes import Connection

logger = logging.getLogger(__name__)

LIVE_WRITES = 5.0
"""Seconds between two writes of a status that changes by itself."""

SYNC = 30.0
"""Seconds to wait for the cache at the start; without it reading works too, but costs the API server something."""

DEFINITIONS = 60.0
"""Seconds to wait for the API server, and for the resources' definitions, at the start."""


class UnusableClusterError(Exception):
    """What was asked for can't be done here: no loadgate resources, no rights to them, a flag that can't be kept."""


class Operator:
    """One operator process: its parts, and what is known of their health."""

    def __init__(self, flags: Flags, connection: Connection, runner_settings: RunnerSettings) -> None:
        self._flags = flags
        self._runner_settings = runner_settings
        self._connection = connection
        self._metrics = OperatorMetrics()
        self._api_metrics = ApiMetrics(self._metrics.registry)
        self._stop = asyncio.Event()
        self._stands_by = False
        self._reconciler: Reconciler | None = None
        self._cluster: KubernetesCluster | None = None

    async def run(self) -> int:
        """Until told to stop, or until something breaks that a new start may mend; the exit code."""
        self._listen_to_signals()
        async with contextlib.AsyncExitStack() as stack:
            serve = serving(self._flags.listen, self._metrics.render, self.healthy, self.ready)
            logger.info("metrics and health at %s", await stack.enter_async_context(serve))
            api = await stack.enter_async_context(Api(self._connection, called=self._api_metrics.called))
            if not self._flags.leader_election:
                return await self._first(self._stopped(), self._work(api))
            leader = Leader(api, self._lease())
            stack.push_async_callback(leader.release)
            self._stands_by = True
            if not await self._first(self._stopped(), _then(leader.win(), 1)):
                return 0
            self._stands_by = False
            return await self._first(self._stopped(), self._work(api), _then(leader.keep(), 1))

    def healthy(self) -> bool:
        """Whether events and reconciles flow; who stands by is healthy too."""
        if self._reconciler is None or self._cluster is None:
            return True
        return self._reconciler.healthy() and self._cluster.flowing

    def ready(self) -> bool:
        """Whether the cluster is known, or this operator only stands by."""
        return self._stands_by or (self._reconciler is not None and self._cluster is not None and self._cluster.synced)

    async def _work(self, api: Api) -> int:
        """Do what an operator does; ends where something broke."""
        from loadgate_operator.handlers import watch  # noqa: PLC0415 - kopf takes a second, and must come after KUBECONFIG

        garbage.calm()
        await _check(api, self._flags.namespaces)
        self._api_metrics.leading(leads=True)
        clock = _clock(api)
        cluster = KubernetesCluster(api, Scope(self._flags.namespaces), clock)
        async with RunnerClient() as client:
            collector = Collector(client, clock, self._metrics.scraped, most_held=memory.for_snapshots())
            options = Options(
                settings=Settings(targets=self._flags.targets),
                live_writes=LIVE_WRITES,
                reconciled=self._metrics.reconciled,
            )
            logger.info("where load may go: %s", self._flags.targets)
            reconciler = Reconciler(cluster, collector, self._runner_settings, clock=clock, options=options)
            self._cluster = cluster
            ready = asyncio.Event()
            return await self._first(
                _then(watch(self._connection, cluster, self._flags.namespaces, ready), 1),
                self._take_signals_back(ready),
                _then(cluster.run(), 1),
                _then(lag.watch(self._metrics.lagged), 1),
                _then(self._observe(cluster), 1),
                _then(self._reconcile(cluster, reconciler), 1),
            )

    async def _reconcile(self, cluster: KubernetesCluster, reconciler: Reconciler) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SYNC):
                await cluster.settled.wait()
        self._reconciler = reconciler
        await reconciler.run()

    async def _observe(self, cluster: KubernetesCluster) -> None:
        async for key in cluster.watch():
            if key.kind in (Kind.LOAD_TEST, Kind.PERFORMANCE_BUDGET):
                with contextlib.suppress(ClusterError):  # The next change, or the next start, tells it again.
                    self._metrics.observe(key, await cluster.read(*key))

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    async def _take_signals_back(self, ready: asyncio.Event) -> int:
        """Kopf would stop itself first, and all that it doesn't know only after seconds; ours ends all at once."""
        await ready.wait()
        self._listen_to_signals()
        return await self._stopped()

    async def _stopped(self) -> int:
        await self._stop.wait()
        return 0

    async def _first(self, *parts: Coroutine[None, None, int]) -> int:
        """What the first part to end ends with; the others are cancelled, and waited for."""
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return max(task.result() for task in done)

    def _lease(self) -> LeaseSettings:
        namespace = self._flags.leader_election_namespace or self._connection.namespace
        return LeaseSettings(namespace=namespace, identity=f"{self._flags.identity}-{os.getpid()}")


async def _then(part: Coroutine[None, None, None], code: int) -> int:
    await part
    return code


async def _check(api: Api, namespaces: tuple[str, ...]) -> None:
    """Wait until the resources can be read. Raises UnusableClusterError."""
    loop = asyncio.get_running_loop()
    until = loop.time() + DEFINITIONS
    while True:
        try:
            for kind in (Kind.LOAD_TEST, Kind.PERFORMANCE_BUDGET):
                for namespace in namespaces or ("",):
                    await list_all(api, kind, namespace, metadata_only=True)
        except NotFoundError as error:
            fault = UnusableClusterError(f"the definitions of loadgate's resources aren't installed ({error})")
        except RefusedError as error:
            raise UnusableClusterError(f"the API server doesn't let the operator read ({error})") from error
        except ClusterError as error:
            fault = UnusableClusterError(f"the API server can't be reached ({error})")
        else:
            return
        if loop.time() > until:
            raise fault
        logger.warning("%s; waiting", fault)
        await asyncio.sleep(2)


def _clock(api: Api) -> SteadyClock:
    """A clock that goes by the API server's, which has stamped, and will stamp, all that is compared with it."""
    clock = SteadyClock()
    ahead = clock.follow(api.server_time) if api.server_time is not None else 0.0
    if ahead:
        logger.warning("this machine's clock is %+.0fs off the API server's, which the operator goes by", -ahead)
    return clock


async def _main(flags: Flags) -> int:
    settings = RunnerSettings(image=flags.runner_image, pods=_pods(flags.runner_defaults))
    return await Operator(flags, await connect(), settings).run()


def _pods(path: str) -> PodTemplate:
    """What the file says of all runners' pods; nothing where there is none. Raises UnusableClusterError."""
    if not path:
        return PodTemplate()
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode()
        return load_pods(text, path)
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableClusterError(f"--runner-defaults can't be read: {error}") from error
    except InvalidSpec as error:
        raise UnusableClusterError(f"--runner-defaults can't be used: {error}") from error


def main() -> None:
    """The console script."""
    flags = parse(sys.argv[1:], os.environ)
    set_up(flags.log_format, flags.log_level)
    try:
        code = asyncio.run(_main(flags))
    except (ConnectionFaultError, UnusableClusterError, OSError) as error:
        logger.error("%s", error)  # noqa: TRY400 - a fault of the installation, whose trace says nothing
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
