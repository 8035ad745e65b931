"""The loop: a key that changed is taken, looked at, decided on, acted for; its status is written once, at the end."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from loadgate.api.conditions import ConditionType
from loadgate.api.status import LoadTestStatus
from loadgate_operator.cluster.port import ClusterError, GoingError, Key, Kind
from loadgate_operator.manifests.job import settings_for
from loadgate_operator.reconcile import summarise
from loadgate_operator.reconcile.act import Actor
from loadgate_operator.reconcile.budgets import decide_budget
from loadgate_operator.reconcile.columns import columns
from loadgate_operator.reconcile.decide import decide
from loadgate_operator.reconcile.errors import TryAgainError, UnstorableError, UserMustActError
from loadgate_operator.reconcile.model import Decision, Settings
from loadgate_operator.reconcile.observe import Observer, Sight
from loadgate_operator.reconcile.observe_budget import observe_budget
from loadgate_operator.reconcile.observe_inputs import inputs_of
from loadgate_operator.reconcile.queue import KeyQueue
from loadgate_operator.reconcile.story import told
from loadgate_operator.reconcile.wakes import Wakes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadgate_operator.cluster.port import Cluster, Object
    from loadgate_operator.collect.collector import Collector
    from loadgate_operator.manifests.job import RunnerSettings

logger = logging.getLogger(__name__)

FIRST_RETRY, LAST_RETRY = 0.5, 15.0
"""Seconds until a pass that failed is tried again: doubled with each failure in a row, up to the last.

Without an API server every pass fails, and runners go on: they are looked after as often as the last says, and nobody
waits longer than that for a verdict once the server is back.
"""

STILL_ALIVE, STUCK = 30.0, 120.0
"""Seconds without a turn of the loop, and of one key in the queue or in the making, after which we aren't healthy."""

STALLED_RETRY = 60.0
"""Seconds until it is seen whether someone has acted on what only a person can change."""

LIVE_FIELDS = ("load", "progress", "runners", "columns")
"""Parts of a status that change by themselves while a run is under way."""


@dataclass(frozen=True)
class Options:
    """How the reconciler works.

    `workers` is how many tests are looked at at one time; most of that is waiting. `live_writes` is the least time in
    seconds between two writes of what changes by itself while a run is under way. `reconciled` is told of each pass:
    its key, how many seconds it took, and what went wrong, if anything.
    """

    settings: Settings = field(default_factory=Settings)
    live_writes: float = 2.0
    workers: int = 8
    reconciled: Callable[[Key, float, BaseException | None], None] | None = None


class Reconciler:
    """Keeps every LoadTest and PerformanceBudget of a cluster as it asks to be."""

    def __init__(
        self,
        cluster: Cluster,
        collector: Collector,
        runner_settings: RunnerSettings,
        *,
        clock: Callable[[], float],
        options: Options | None = None,
    ) -> None:
        """`clock` gives Unix seconds; the collector must be given the same."""
        self._options = options or Options()
        self._cluster = cluster
        self._collector = collector
        self._clock = clock
        self._observer = Observer(cluster, collector, runner_settings, self._options.settings, clock)
        self._runner_settings = runner_settings
        self._actor = Actor(cluster, collector, runner_settings, self._options.settings.targets, clock)
        self._queue = KeyQueue()
        self._wakes = Wakes(cluster)
        self._failures: dict[Key, int] = {}
        self._live_written: dict[Key, float] = {}
        self._interrupted: set[Key] = set()
        self._runs: dict[Key, str] = {}
        self.heartbeat = clock()
        """When the loop last did something, in Unix seconds: the liveness probe looks at it."""

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch())
                group.create_task(self._beat())
                for _ in range(self._options.workers):
                    group.create_task(self._work())
        finally:
            self._queue.close()

    def interrupt(self, key: Key) -> None:
        """Call a test's run off for good: what was measured so far is kept and judged, and nothing begins any more."""
        self._interrupted.add(key)
        self._queue.add(key)

    def healthy(self) -> bool:
        """Whether the loop turns, and no key has waited, or been worked on, for too long."""
        return self._clock() - self.heartbeat < STILL_ALIVE and self._queue.longest() < STUCK

    async def _watch(self) -> None:
        async for changed in self._cluster.watch():
            self.heartbeat = self._clock()
            try:
                keys = await self._wakes.of(changed)
            except ClusterError as error:
                logger.warning("%s changed, and whom it concerns isn't known: %s", changed, error)
                continue
            for key in keys:
                self._queue.add(key)
        raise ClusterError("the cluster's watch ended")

    async def _beat(self) -> None:
        """An idle operator is alive too, as long as its loop turns."""
        while True:
            await asyncio.sleep(1)
            self.heartbeat = self._clock()

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            try:
                after = await self._try(key)
            finally:
                self._queue.done(key)
            if after is not None:
                self._queue.add_after(key, after)

    async def _try(self, key: Key) -> float | None:
        begun = self._clock()
        try:
            after = await self.reconcile(key)
        except (ClusterError, TryAgainError) as error:
            self._tell(key, begun, error)
            return self._backoff(key, error)
        except Exception as error:  # (noqa: BLE001 - a bug met by one test must not end the runs of all others)
            logger.exception("%s: a fault of loadgate's own", key)
            self._tell(key, begun, error)
            return self._backoff(key, error)
        self._tell(key, begun, None)
        self._failures.pop(key, None)
        return after

    def _tell(self, key: Key, begun: float, error: BaseException | None) -> None:
        if self._options.reconciled is not None:
            self._options.reconciled(key, self._clock() - begun, error)

    def _backoff(self, key: Key, error: Exception) -> float:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        seconds = min(FIRST_RETRY * 2.0**failures, LAST_RETRY)
        logger.warning("%s: %s; again in %gs", key, error, seconds)
        return seconds

    async def reconcile(self, key: Key) -> float | None:
        """One pass for one key; answers in how many seconds to look again, None where only a change needs one.

        Raises ClusterError or TryAgainError where it is to be tried again.
        """
        if key.kind is Kind.PERFORMANCE_BUDGET:
            await self._reconcile_budget(key)
            return None
        sight = await self._observer.observe(key.namespace, key.name, interrupted=key in self._interrupted)
        # After looking, which may take seconds where a runner is silent: a start must lie ahead.
        now = self._clock()
        self._learn(key, sight)
        decision = await self._act(sight, now)
        if decision.status is not None and sight.observed.load_test is not None:
            await self._write(key, sight.observed.load_test, decision.status)
        return decision.requeue_after

    def _learn(self, key: Key, sight: Sight) -> None:
        self._forget_runs(key, sight)
        test = sight.observed.test
        if sight.observed.load_test is None:
            self._wakes.forget(key)
            self._live_written.pop(key, None)
        elif test is not None:
            self._wakes.learn(key, inputs_of(test, settings_for(test, self._runner_settings).pods))

    def _forget_runs(self, key: Key, sight: Sight) -> None:
        """Let go of what the runners of a run said once there is another run, or none of its pods any more."""
        run = sight.observed.status.run if sight.observed.status else None
        before = self._runs.get(key)
        if before is not None and (run is None or run.id != before or (run.finished_at and not sight.observed.run)):
            self._collector.forget(before)
            del self._runs[key]
        if run is not None and sight.observed.run is not None:
            self._runs[key] = run.id

    async def _act(self, sight: Sight, now: float) -> Decision:
        decision = decide(sight.observed, now)
        try:
            await self._actor.act(decision.actions, sight)
        except GoingError:
            return await self._act(_knowing(sight, going=True), now)
        except UnstorableError as error:
            logger.warning("%s: the result can't be kept: %s", sight.observed.name, error)
            return await self._act(_knowing(sight, unstorable=str(error)), now)
        except UserMustActError as error:
            return _stalled(sight, error, now)
        return decision

    async def _write(self, key: Key, raw: Object, status: LoadTestStatus) -> None:
        """Only what changed, and what changes by itself not more often than people and machines can use it."""
        shown = status.model_copy(update={"columns": columns(status)})
        before, after = raw.get("status") or {}, summarise.bounded(shown.to_json())
        if before == after:
            return
        now = self._clock()
        soon = now - self._live_written.get(key, 0.0) < self._options.live_writes
        if before and soon and _without_live(before) == _without_live(after):
            return
        await self._cluster.write_status(key, after, version=raw["metadata"].get("resourceVersion"))
        self._live_written[key] = now
        for event in told(before, after):
            await self._actor.say(event, raw)
        if _verdict_of(before) != _verdict_of(after):
            await self._wake_budgets(key.namespace)
        if status.run is not None and status.run.finished_at is not None:
            self._live_written.pop(key, None)

    async def _wake_budgets(self, namespace: str) -> None:
        for raw in await self._cluster.list(Kind.PERFORMANCE_BUDGET, namespace):
            self._queue.add(Key(Kind.PERFORMANCE_BUDGET, namespace, raw["metadata"]["name"]))

    async def _reconcile_budget(self, key: Key) -> None:
        raw = await self._cluster.read(key.kind, key.namespace, key.name)
        if raw is None:
            return
        now = self._clock()
        status = decide_budget(await observe_budget(self._cluster, self._observer, raw), now).to_json()
        if raw.get("status") != status:
            await self._cluster.write_status(key, status, version=raw["metadata"].get("resourceVersion"))


def _knowing(sight: Sight, **more: Any) -> Sight:
    """The same sight with what was learned by acting; nothing that it forbids is decided on again."""
    return replace(sight, observed=replace(sight.observed, **more))


def _stalled(sight: Sight, error: UserMustActError, now: float) -> Decision:
    """The run waits, not made, for someone to change what stands in its way; its start deadline goes on."""
    observed = sight.observed
    status = observed.status or LoadTestStatus()
    generation = int((observed.load_test or {}).get("metadata", {}).get("generation", 0))
    changes = summarise.blocked(summarise.Stamp(status, generation, now), error.reason, str(error))
    return Decision(status=status.model_copy(update=changes), requeue_after=STALLED_RETRY)


def _without_live(status: Mapping[str, Any]) -> dict[str, Any]:
    """What is worth a write at once. How many runners are armed so far isn't: it is told again soon, or is over."""
    lasting = {name: value for name, value in status.items() if name not in LIVE_FIELDS}
    conditions = status.get("conditions") or ()
    if any(one["type"] == ConditionType.Reconciling for one in conditions):
        lasting["conditions"] = [{**one, "message": ""} for one in conditions]
    return lasting


def _verdict_of(status: Mapping[str, Any]) -> tuple[Any, ...]:
    run = status.get("run") or {}
    return (run.get("id"), run.get("verdict"), run.get("judgedBy"), status.get("budgets"))
