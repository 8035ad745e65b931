"""Looking at the world for one LoadTest: everything `decide` may know, read once at the beginning of a pass."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from loadgate.api.conditions import DoubtReason, Outcome, Phase
from loadgate.api.faults import Fault, InvalidSpec
from loadgate.api.status import LoadTestStatus
from loadgate.api.validate import validate_budget, validate_loadtest
from loadgate.control import RunnerState
from loadgate.report.result import Result, ResultError
from loadgate.verdict import Doubt, select_budgets
from loadgate_operator.cluster.port import Kind
from loadgate_operator.collect.answers import Runner
from loadgate_operator.manifests import names
from loadgate_operator.manifests.configs import result_bytes, token_of
from loadgate_operator.manifests.job import settings_for
from loadgate_operator.reconcile.identity import limits_hash
from loadgate_operator.reconcile.ledger import ANNOTATION, End, Ledger, LedgerError
from loadgate_operator.reconcile.model import Inputs, Observed, Owned, RunSeen, Settings, StoredResult
from loadgate_operator.reconcile.observe_inputs import observe_inputs
from loadgate_operator.reconcile.pods import job_failed, job_trouble, pod_seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from loadgate.api.budget import PerformanceBudget
    from loadgate.api.conditions import Reason
    from loadgate.api.loadtest import LoadTest
    from loadgate_operator.cluster.port import Cluster, Object
    from loadgate_operator.collect.answers import RunnerAnswer
    from loadgate_operator.collect.collector import Collector
    from loadgate_operator.manifests.job import RunnerSettings
    from loadgate_operator.reconcile.model import PodSeen

logger = logging.getLogger(__name__)

JUDGED_BY_ANNOTATION = "loadgate.dev/judged-by"
"""On a stored result: the hash of the limits that its verdict is over."""

_OWNED = (Kind.JOB, Kind.POD, Kind.SECRET, Kind.CONFIG_MAP)
"""In the order in which they are removed: a token goes before its plan, by which it is found."""
_SOON_THERE = 10.0
"""Seconds after which a Job that may make pods has made them, mostly."""

_MOST_ENDED = 1_000
"""Runs of which it is remembered when their runners were seen to end; a run is looked at every few seconds."""

_ENDED = ("Succeeded", "Failed")
_UNDER_WAY = (Phase.Starting, Phase.Running, Phase.Judging)


@dataclass(frozen=True)
class Sight:
    """What was observed, and how the pods of the run are reached, by uid."""

    observed: Observed
    reach: Mapping[str, Runner] = field(default_factory=dict)


@dataclass(frozen=True)
class _Validated:
    """A manifest that was validated, kept so that a pass every second doesn't validate it every second."""

    manifest: Object
    model: Any
    faults: tuple[Fault, ...]


class Observer:
    """Reads through the port and asks the runners."""

    def __init__(
        self,
        cluster: Cluster,
        collector: Collector,
        runner_settings: RunnerSettings,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        """`clock` is the operator's, in Unix seconds."""
        self._cluster = cluster
        self._runner_settings = runner_settings
        self._collector = collector
        self._settings = settings
        self._clock = clock
        self._validated: dict[tuple[str, str, str], _Validated] = {}
        self._ended: OrderedDict[str, dict[str, float]] = OrderedDict()

    async def observe(self, namespace: str, name: str, *, interrupted: bool = False) -> Sight:
        """All there is to know of one LoadTest. `interrupted`: whoever runs the operator calls its run off."""
        raw = await self._cluster.read(Kind.LOAD_TEST, namespace, name)
        if raw is None:
            self._validated.pop((Kind.LOAD_TEST, namespace, name), None)
            owned = tuple([owned async for owned in self._owned(namespace, name, (Kind.JOB,))])
            return Sight(Observed(namespace, name, owned=owned, settings=self._settings))
        test, faults = self.validate(raw, validate_loadtest)
        status = read_status(raw)
        budgets, budget_faults = await self._budgets(namespace, test)
        run, reach = await self._run(namespace, status)
        observed = Observed(
            namespace=namespace,
            name=name,
            load_test=raw,
            test=test,
            faults=faults,
            status=status,
            budgets=budgets,
            budget_faults=budget_faults,
            inputs=await self._inputs(test) if test else Inputs(),
            run=run,
            result=await self._result(namespace, test, status, budgets),
            owned=await self._everything_owned(namespace, name, status, run),
            interrupted=interrupted,
            going=await self._is_going(namespace, status, run),
            settings=self._settings,
        )
        return Sight(observed, reach)

    def validate(self, raw: Object, validate: Callable[[Object], Any]) -> tuple[Any, tuple[Fault, ...]]:
        """The model of a manifest, or None and every fault that it has."""
        metadata = raw["metadata"]
        key = (raw["kind"], metadata["namespace"], metadata["name"])
        volatile = ("resourceVersion", "managedFields")
        manifest = {
            **{part: value for part, value in raw.items() if part != "status"},
            "metadata": {part: value for part, value in metadata.items() if part not in volatile},
        }
        known = self._validated.get(key)
        if known is None or known.manifest != manifest:
            try:
                known = _Validated(manifest, validate(manifest), ())
            except InvalidSpec as error:
                known = _Validated(manifest, None, tuple(error.faults))
            self._validated[key] = known
        return known.model, known.faults

    async def _budgets(
        self, namespace: str, test: LoadTest | None
    ) -> tuple[tuple[PerformanceBudget, ...], tuple[str, ...]]:
        if test is None:
            return (), ()
        valid: list[PerformanceBudget] = []
        broken: set[str] = set()
        for raw in await self._cluster.list(Kind.PERFORMANCE_BUDGET, namespace):
            budget, _ = self.validate(raw, validate_budget)
            if budget is None:
                broken.add(raw["metadata"]["name"])
            else:
                valid.append(budget)
        there = {budget.metadata.name for budget in valid}
        faults = tuple(
            _budget_fault(reference.name, broken) for reference in test.spec.budgets if reference.name not in there
        )
        return tuple(select_budgets(test, valid)), faults

    async def _inputs(self, test: LoadTest) -> Inputs:
        return await observe_inputs(self._cluster, test, settings_for(test, self._runner_settings).pods)

    async def _run(self, namespace: str, status: LoadTestStatus | None) -> tuple[RunSeen | None, dict[str, Runner]]:
        if status is None or status.run is None:
            return None, {}
        run = status.run.id
        active = status.run.finished_at is None
        job = await self._cluster.read(Kind.JOB, namespace, names.job_name(run))
        raw_pods = await self._cluster.list(Kind.POD, namespace, names.run_selector(run))
        pods = self._first_seen(run, [(raw, pod) for raw in raw_pods if (pod := pod_seen(raw, self._clock()))])
        if job is None and not pods:
            return None, {}
        ledger = _ledger(job, self._clock())
        reach = await self._reach(namespace, run, pods)
        await self._ask(ledger, reach)
        if active:
            await self._salvage(run, ledger, pods)
        answers = {answer.uid: answer for answer in self._collector.answers(run)}
        seen = RunSeen(
            job_name=names.job_name(run),
            job_uid=job["metadata"]["uid"] if job else "",
            ledger=ledger,
            job_failed=job_failed(job) if job else "",
            trouble=await self._job_trouble(namespace, job, ledger, pods),
            pods=tuple(pod for _, pod in pods),
            answers=self._newest(run, answers),
            rate=self._collector.rate(run),
        )
        return seen, reach

    def _first_seen(self, run: str, pods: list[tuple[Object, PodSeen]]) -> list[tuple[Object, PodSeen]]:
        """The pods, each ended when that was first seen. Who begins anew sees it anew, and waits a little longer."""
        before = self._ended.pop(run, {})
        ends = {pod.uid: before.get(pod.uid, pod.ended_at) for _, pod in pods if pod.ended_at is not None}
        if ends:
            self._ended[run] = ends
            while len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)
        return [(raw, replace(pod, ended_at=ends[pod.uid]) if pod.uid in ends else pod) for raw, pod in pods]

    async def _reach(self, namespace: str, run: str, pods: Iterable[tuple[Object, PodSeen]]) -> dict[str, Runner]:
        secret = await self._cluster.read(Kind.SECRET, namespace, names.token_name(run))
        token = token_of(secret) if secret else None
        if token is None:
            return {}
        return {
            pod.uid: Runner(run, pod.index, pod.uid, url, token)
            for raw, pod in pods
            if not pod.over and (url := self._cluster.address(raw))
        }

    async def _ask(self, ledger: Ledger, reach: Mapping[str, Runner]) -> None:
        # In the warm-up only slices tell of requests.
        warming = ledger.start_at is not None and self._clock() < ledger.start_at + ledger.warmup
        if reach:
            await self._collector.poll(list(reach.values()), full=warming)

    async def _salvage(self, run: str, ledger: Ledger, pods: Iterable[tuple[Object, PodSeen]]) -> None:
        """What a runner that is gone measured is in its pod's log, where nobody took it before."""
        known = {answer.uid: answer for answer in self._collector.answers(run)}
        for raw, pod in pods:
            if pod.over and pod.uid in ledger.chosen and not _is_whole(known.get(pod.uid)):
                self._collector.salvage(Runner(run, pod.index, pod.uid, "", ""), await self._cluster.logs(raw))

    def _newest(self, run: str, answers: Mapping[str, RunnerAnswer]) -> dict[str, RunnerAnswer]:
        fullest = {snapshot.uid: snapshot for snapshot in self._collector.snapshots(run)}
        return {uid: replace(answer, snapshot=fullest.get(uid)) for uid, answer in answers.items()}

    async def _job_trouble(
        self, namespace: str, job: Object | None, ledger: Ledger, pods: Sequence[tuple[Object, PodSeen]]
    ) -> tuple[Reason, str] | None:
        if job is None or ledger.chosen or len(pods) >= job["spec"].get("completions", 1):
            return None
        return job_trouble(job, await self._cluster.list(Kind.EVENT, namespace))

    async def _is_going(self, namespace: str, status: LoadTestStatus | None, run: RunSeen | None) -> bool:
        """Whether the namespace goes: asked only where it may, and nothing else would tell.

        Its pods go first, and what a Job of it lacks then never comes. A run that was called off would begin anew.
        """
        if status is None or status.run is None:
            return False
        if status.run.finished_at is not None:
            suspected = status.run.verdict is Outcome.Aborted
        elif run is None or run.ledger.chosen:
            suspected = False
        else:
            created = status.run.created_at
            slow = created is not None and self._clock() - created.timestamp() > _SOON_THERE
            wanted = status.runners.desired if status.runners else 1
            gone = slow and len(run.pods) < wanted
            suspected = gone or any(pod.deleting_since is not None for pod in run.pods)
        return suspected and await self._cluster.is_going(namespace)

    async def _result(
        self,
        namespace: str,
        test: LoadTest | None,
        status: LoadTestStatus | None,
        budgets: Sequence[PerformanceBudget],
    ) -> StoredResult | None:
        """The stored result of the newest run, where something may depend on it: it is the largest thing to read."""
        if test is None or status is None or status.run is None or not _is_result_wanted(test, status, budgets):
            return None
        return await self.read_result(namespace, names.result_name(test.metadata.name, status.run.number))

    async def read_result(self, namespace: str, name: str) -> StoredResult | None:
        """A stored result; None where it is gone or damaged."""
        config_map = await self._cluster.read(Kind.CONFIG_MAP, namespace, name)
        data = result_bytes(config_map) if config_map else None
        if config_map is None or data is None:
            return None
        try:
            result = Result.decode(data)
        except ResultError as error:
            logger.warning("%s/%s: the stored result can't be read: %s", namespace, name, error)
            return None
        annotations = config_map["metadata"].get("annotations") or {}
        return StoredResult(result, annotations.get(JUDGED_BY_ANNOTATION, ""))

    async def _everything_owned(
        self, namespace: str, name: str, status: LoadTestStatus | None, run: RunSeen | None
    ) -> tuple[Owned, ...]:
        # While a run goes on its way nothing hangs on what else there is, and stored results are large.
        if status and run and run.job_uid and status.phase in _UNDER_WAY:
            return ()
        return tuple([owned async for owned in self._owned(namespace, name, _OWNED)])

    async def _owned(self, namespace: str, name: str, kinds: Iterable[Kind]) -> AsyncIterator[Owned]:
        labels = {names.TEST_LABEL: names.shorten(name)}
        for kind in kinds:
            for obj in await self._cluster.list(kind, namespace, labels):
                if (obj.get("status") or {}).get("phase") not in _ENDED:
                    yield _owned_from(kind, obj)


def read_status(raw: Object) -> LoadTestStatus | None:
    """The status as it is stored; None where there is none, or none that this version understands."""
    stored = raw.get("status")
    if not stored:
        return None
    try:
        return LoadTestStatus.model_validate(stored, by_alias=True, by_name=False)
    except ValidationError as error:
        logger.warning("%s: the status can't be read and is made anew: %s", raw["metadata"]["name"], error)
        return None


def _budget_fault(name: str, broken: set[str]) -> str:
    if name in broken:
        return f"PerformanceBudget {name} is invalid: see its own status"
    return f"PerformanceBudget {name} does not exist: create it, or take it out of spec.budgets"


def _ledger(job: Object | None, now: float) -> Ledger:
    text = ((job or {}).get("metadata", {}).get("annotations") or {}).get(ANNOTATION)
    if text is None:
        return Ledger()
    try:
        return Ledger.decode(text)
    except LedgerError as error:
        # Who was started can't be known any more: nobody is, and the Job goes with all its pods.
        message = f"the Job's annotation {ANNOTATION} was changed and can't be read ({error}); run it again"
        doubt = Doubt(DoubtReason.Interrupted, message, "ledger")
        return Ledger(end=End(DoubtReason.Interrupted, message, now, doubt=doubt))


def _is_whole(answer: RunnerAnswer | None) -> bool:
    return bool(answer and answer.snapshot and answer.snapshot.state == RunnerState.FINISHED)


def _is_result_wanted(test: LoadTest, status: LoadTestStatus, budgets: Sequence[PerformanceBudget]) -> bool:
    run = status.run
    if run is None or (run.verdict is Outcome.Aborted and status.phase is Phase.Aborted):
        return False
    if run.finished_at is None:
        return status.phase in _UNDER_WAY
    return status.phase is None or not status.phase.is_final or run.judged_by != limits_hash(test, budgets)


def _owned_from(kind: Kind, obj: Object) -> Owned:
    metadata = obj["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    number = annotations.get(names.RUN_NUMBER_ANNOTATION, "")
    owners = metadata.get("ownerReferences") or [{}]
    return Owned(
        kind=kind,
        name=metadata["name"],
        uid=metadata["uid"],
        run=labels.get(names.RUN_LABEL, ""),
        component=labels.get(names.COMPONENT_LABEL, ""),
        owner=owners[0].get("uid", ""),
        number=int(number) if number.isdecimal() else 0,
        deleting="deletionTimestamp" in metadata,
    )
