"""Doing what was decided, one action after another, through the port and to the runners."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from loadgate.api.conditions import Reason
from loadgate.plan import compile_plan
from loadgate.report.fit import fit
from loadgate.report.result import ResultError
from loadgate_operator.cluster.port import ClusterError, ConflictError, GoingError, Kind, RefusedError
from loadgate_operator.manifests import names
from loadgate_operator.manifests.configs import (
    TooLargeError,
    plan_config_map,
    result_config_map,
    token_of,
    token_secret,
)
from loadgate_operator.manifests.job import runner_job
from loadgate_operator.reconcile.errors import TryAgainError, UnstorableError, UserMustActError
from loadgate_operator.reconcile.ledger import ANNOTATION
from loadgate_operator.reconcile.model import (
    Acknowledge,
    CreateRun,
    DeleteObject,
    RecordEvent,
    RunSetup,
    RunTeardown,
    StartRunners,
    StopRunners,
    StoreResult,
    WriteLedger,
)
from loadgate_operator.reconcile.observe import JUDGED_BY_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loadgate.api.loadtest import LoadTest
    from loadgate.plan import Targets
    from loadgate_operator.cluster.port import Cluster, Object
    from loadgate_operator.collect.answers import Runner
    from loadgate_operator.collect.collector import Collector
    from loadgate_operator.manifests.job import RunnerSettings
    from loadgate_operator.reconcile.model import Action, Inputs
    from loadgate_operator.reconcile.observe import Sight

logger = logging.getLogger(__name__)

TOKEN_BYTES = 32


@dataclass(frozen=True)
class Actor:
    """Executes actions. What a runner doesn't do is seen in the next pass; what the cluster doesn't do is an error."""

    cluster: Cluster
    collector: Collector
    runner_settings: RunnerSettings
    targets: Targets
    clock: Callable[[], float]

    async def act(self, actions: Iterable[Action], sight: Sight) -> None:
        """Do them in order; the first that fails ends it, since those after it count on it.

        Raises UserMustActError, TryAgainError or UnstorableError, by who must do something about it; GoingError where
        nobody can.
        """
        for action in actions:
            try:
                await self._do(action, sight)
            except ConflictError as error:
                raise TryAgainError(str(error)) from error
            except GoingError:
                raise
            except (RefusedError, TooLargeError, ResultError) as error:
                raise _refused(action, error) from error
            except ClusterError as error:
                raise TryAgainError(str(error)) from error

    async def _do(self, action: Action, sight: Sight) -> None:
        observed = sight.observed
        match action:
            case CreateRun():
                await self._create(action, _test(sight), observed.inputs)
            case WriteLedger():
                await self._write_ledger(action, observed.namespace)
            case StoreResult():
                await self._store(action, _test(sight))
            case DeleteObject():
                await self.cluster.delete(action.kind, observed.namespace, action.name, action.uid)
            case RecordEvent():
                await self.say(action, observed.load_test)
            case _:
                await self._tell(action, sight)

    async def say(self, action: RecordEvent, about: Object | None) -> None:
        """People are told where that can be done; no run waits for it."""
        if about is None:
            return
        try:
            await self.cluster.record_event(about, action.type, action.reason, action.message)
        except ClusterError as error:
            logger.warning("%s (%s) could not be recorded: %s", action.reason, action.message, error)

    async def _tell(
        self, action: RunSetup | StartRunners | StopRunners | RunTeardown | Acknowledge, sight: Sight
    ) -> None:
        """To the runners; those that can't be reached just now are told again in the next pass."""
        match action:
            case StartRunners():
                if self.clock() <= action.until:
                    await self.collector.start(_reach(sight, action.uids), begin=action.at, setup=action.setup)
            case StopRunners():
                await self.collector.stop(_reach(sight, action.uids), graceful=action.graceful, reason=action.reason)
            case RunSetup():
                for runner in _reach(sight, (action.uid,)):
                    await self.collector.setup(runner)
            case RunTeardown():
                for runner in _reach(sight, (action.uid,)):
                    await self.collector.teardown(runner, setup=action.setup)
            case Acknowledge():
                await self.collector.ack(_reach(sight, action.sequences))
            case _:
                assert_never(action)

    async def _create(self, action: CreateRun, test: LoadTest, inputs: Inputs) -> None:
        """The plan and the token first: pods wait for what they mount, but need not.

        A token never is without its plan, by which it is found where Secrets can't be listed.
        """
        namespace, run = test.metadata.namespace, action.run
        digests = {path: digest for path, digest in inputs.config_maps.items() if digest is not None}
        plan = compile_plan(test, run=run, allowed_targets=self.targets.rules, digests=digests)
        await self.cluster.apply(plan_config_map(test, run, plan))
        secret = await self.cluster.read(Kind.SECRET, namespace, names.token_name(run))
        if secret is None or token_of(secret) is None:
            await self.cluster.apply(token_secret(test, run, secrets.token_urlsafe(TOKEN_BYTES)))
        if await self.cluster.read(Kind.JOB, namespace, names.job_name(run)) is None:
            await self.cluster.apply(runner_job(test, run, plan, self.runner_settings))

    async def _write_ledger(self, action: WriteLedger, namespace: str) -> None:
        job = await self.cluster.read(Kind.JOB, namespace, action.job)
        if job is None or job["metadata"]["uid"] != action.uid:
            raise TryAgainError(f"Job {action.job} is gone or another one")
        await self.cluster.apply(_annotated(job, {ANNOTATION: action.ledger.encode()}))

    async def _store(self, action: StoreResult, test: LoadTest) -> None:
        _, encoded = fit(action.result)
        config_map = result_config_map(test, action.run, action.number, encoded)
        await self.cluster.apply(_annotated(config_map, {JUDGED_BY_ANNOTATION: action.judged_by}))


def _test(sight: Sight) -> LoadTest:
    test = sight.observed.test
    if test is None:
        raise AssertionError("nothing is made of an invalid spec")
    return test


def _reach(sight: Sight, uids: Iterable[str]) -> list[Runner]:
    return [sight.reach[uid] for uid in uids if uid in sight.reach]


def _annotated(obj: Object, annotations: dict[str, str]) -> Object:
    """The object to apply, with annotations of ours; what the server keeps about it is left out."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def _refused(action: Action, error: Exception) -> Exception:
    if isinstance(action, StoreResult):
        return UnstorableError(str(error))
    if isinstance(action, CreateRun):
        reason = Reason.InvalidSpec if isinstance(error, TooLargeError) else Reason.PodRefused
        return UserMustActError(reason, str(error))
    return TryAgainError(str(error))
