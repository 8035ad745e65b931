"""Random histories of a LoadTest: whatever goes wrong, and whenever, the laws of a run's life hold.

`LOADGATE_HISTORIES=20000` looks at that many, and `LOADGATE_FIRST_HISTORY` says from which on; the default is what a
test run has time for.
"""

from __future__ import annotations

import copy
import os
import random
from collections import Counter
from typing import Any

import pytest
from reconcile_world import BUDGET, NAMESPACE, TEST, WHOLE, World, budget, config_map, load_test

from loadgate.api.conditions import Phase
from loadgate.api.validate import validate_loadtest
from loadgate_operator.cluster.port import Key, Kind
from loadgate_operator.reconcile.identity import parts, spec_hash
from loadgate_operator.reconcile.model import Inputs
from loadgate_operator.reconcile.summarise import Row

HISTORIES = int(os.environ.get("LOADGATE_HISTORIES", "400"))
FIRST = int(os.environ.get("LOADGATE_FIRST_HISTORY", "0"))

ROWS = {
    phase: row
    for row, phases in {
        Row.UNDER_WAY: (Phase.Pending, Phase.Starting, Phase.Running, Phase.Judging),
        Row.PASSED: (Phase.Passed,),
        Row.NOT_PASSED: (Phase.Failed, Phase.Inconclusive, Phase.Aborted),
    }.items()
    for phase in phases
}
ANYWHERE: tuple[str, ...] = ()
ELSEWHERE = ("other.example",)
"""Rules on where load may go that the test's target is in, and that it isn't in."""
TYPES = ("Reconciling", "Stalled", "Ready", "Complete", "Passed")
SCENARIO: dict[str, Any] = load_test()["spec"]["scenarios"][0]
STEPS = [{"request": {"name": "seed", "url": "/seed"}, "extract": {"id": {"json": "$.id"}}}]


class Laws:
    """What holds at every moment of every history; a watcher of the world."""

    def __init__(self, world: World) -> None:
        self.numbers: dict[str, int] = {}
        self.progress: dict[str, int] = {}
        self.before: dict[str, Any] = {}
        self.stored: dict[str, int] = {}
        self.ids: dict[str, tuple[str, int]] = {}
        world.watchers.append(self.written)

    def written(self, world: World) -> None:
        """A status was written."""
        status = world.status
        self._conditions(world, status)
        self._numbers(world, status)
        self._passed(world, status)
        self._stored(world)
        self.moment(world)
        self.before = status

    def _conditions(self, world: World, status: dict[str, Any]) -> None:
        found = {one["type"]: one["status"] for one in status["conditions"]}
        row = tuple(found.get(kind) for kind in TYPES)
        legal = ROWS[Phase(status["phase"])]
        assert row == legal.value or (status["phase"] == "Pending" and row == Row.BLOCKED.value), status
        generation = world.objects[TEST]["metadata"]["generation"]
        assert status["observedGeneration"] <= generation
        for one in status["conditions"]:
            assert one["observedGeneration"] == status["observedGeneration"]
            assert one["message"], "a person can act on it"
            old = [c for c in self.before.get("conditions", ()) if c["type"] == one["type"]]
            if old and old[0]["status"] == one["status"] and self.before is not status:
                same = world.objects[TEST]["metadata"]["uid"] == self.numbers.get("uid")
                assert not same or old[0]["lastTransitionTime"] == one["lastTransitionTime"]

    def _numbers(self, world: World, status: dict[str, Any]) -> None:
        uid = world.objects[TEST]["metadata"]["uid"]
        if self.numbers.get("uid") != uid:
            self.numbers = {"uid": uid, "number": 0}
        run = status.get("run")
        if run is None:
            return
        assert run["number"] >= self.numbers["number"]
        self.numbers["number"] = run["number"]
        assert self.ids.setdefault(run["id"], (uid, run["number"])) == (uid, run["number"]), "a run has its own name"
        progress = status.get("progress") or 0
        assert progress >= self.progress.get(run["id"], 0)
        self.progress[run["id"]] = progress
        numbers = [entry["number"] for entry in status["history"]]
        assert numbers == sorted(set(numbers), reverse=True)
        assert all(number < run["number"] for number in numbers)

    def _passed(self, world: World, status: dict[str, Any]) -> None:
        """Nothing passed that was not measured whole."""
        if status["phase"] != "Passed":
            return
        result = world.result()
        assert result is not None
        count = result.plan["runners"]
        assert [runner.state for runner in result.runners] == ["Finished"] * count
        requests, _ = result.measurement.request_counts()
        assert requests >= (WHOLE - 1) * count, "but for a hundredth that a start may be late"
        chosen = {runner.uid for runner in result.runners}
        assert all(pod.complete and pod.begins == 1 for pod in world.ever if pod.uid in chosen)
        assert not any(pod.denied for pod in world.ever if pod.uid in chosen), "nothing passes that was led elsewhere"

    def _stored(self, world: World) -> None:
        """What was measured stays what it is, however often it is judged."""
        result = world.result()
        if result is not None:
            requests, _ = result.measurement.request_counts()
            assert self.stored.setdefault(result.run.id, requests) == requests
        run = world.status.get("run") or {}
        if run.get("verdict") in ("Passed", "Failed", "Inconclusive"):
            assert (run["id"], False) not in world.acks, "what was measured is kept before its runner is let go"

    def moment(self, world: World) -> None:
        """Nothing was written, but time passed or something happened."""
        loading = {pod.run for pod in world.pods.values() if pod.loads}
        assert len(loading) <= 1, "two runs never make load together"
        run = world.status.get("run") or {}
        if loading and TEST in world.objects and run.get("finishedAt"):
            assert run["id"] not in loading, "no load under a finished status"
        assert world.made_under <= {ANYWHERE}, "no Job is made by rules that the target isn't in"
        begun = Counter((pod.run, pod.index) for pod in world.ever if pod.begins)
        assert all(n == 1 for n in begun.values()), "each index of a run begins once"
        assert all(pod.begins <= 1 for pod in world.ever)
        for what in ("setups", "teardowns"):
            done = Counter(pod.run for pod in world.ever for _ in range(getattr(pod, what)))
            assert all(n == 1 for n in done.values()), what
        for key, obj in world.objects.items():
            if key.kind is Kind.JOB:
                assert obj["metadata"]["ownerReferences"], "no Job without an owner"

    def at_rest(self, world: World) -> None:
        """Faults have stopped, and nothing more happens by itself."""
        assert not any(pod.loads for pod in world.pods.values())
        if TEST not in world.objects:
            assert not world.jobs(), "no Job is left of a LoadTest that is gone"
            return
        status, raw = world.status, world.objects[TEST]
        assert status["observedGeneration"] == raw["metadata"]["generation"]
        if world.conditions.get("Stalled", ("", ""))[1] in ("InvalidSpec", "Suspended", "BudgetNotFound"):
            return
        if world.targets == ELSEWHERE and world.conditions.get("Stalled", ("", ""))[1] == "TargetNotAllowed":
            return
        assert Phase(status["phase"]).is_final, status
        wanted = spec_hash(validate_loadtest(raw), Inputs(), status["run"]["specHash"])
        assert parts(wanted)[0] == parts(status["run"]["specHash"])[0], "the newest run is of the present spec"


def _load(spec: dict[str, Any], n: int) -> None:
    spec["scenarios"][0]["vus"] += 1


def _limits(spec: dict[str, Any], n: int) -> None:
    spec["thresholds"] = {"http_req_duration": [f"p(95)<{50 + 10 * n % 300}"]}


def _history(spec: dict[str, Any], n: int) -> None:
    spec["historyLimit"] = n % 3


def _suspend(spec: dict[str, Any], n: int) -> None:
    spec["suspend"] = not spec.get("suspend", False)


def _spoil(spec: dict[str, Any], n: int) -> None:
    spec["scenarios"][0]["vus"] = -1 if spec["scenarios"][0]["vus"] > 0 else 4


def _count(spec: dict[str, Any], n: int) -> None:
    spec["runners"] = {"count": 1 + n % 3}


def _retry(spec: dict[str, Any], n: int) -> None:
    spec["onInconclusive"] = {"retries": n % 2}


def _name_budget(spec: dict[str, Any], n: int) -> None:
    spec["budgets"] = [] if spec.get("budgets") else [{"name": "shop"}]


def _deadline(spec: dict[str, Any], n: int) -> None:
    spec["deadline"] = f"{20 + n % 80}s"


def _chores(spec: dict[str, Any], n: int) -> None:
    spec["setup"] = spec["teardown"] = {"steps": STEPS}


EDITS = [_load, _limits, _history, _suspend, _suspend, _spoil, _count, _retry, _name_budget, _deadline, _chores]


def _edit(world: World, number: int) -> None:
    world.count += 1
    edit = EDITS[number % len(EDITS)]
    world.edit(lambda obj: edit(obj["spec"], world.count))


def _rerun(world: World, number: int) -> None:
    world.edit(lambda obj: obj["metadata"].update(annotations={"loadgate.dev/rerun": str(number)}))


def _hurt(world: World, number: int) -> None:
    live = world.live()
    if not live:
        return
    pod = live[number % len(live)]
    match number % 7:
        case 0:
            pod.phase = "Failed"
        case 1 | 2:
            world.remove(Key(Kind.POD, NAMESPACE, pod.name))
        case 3:
            pod.mute_until = world.now + (20, 40, 1e6)[number // 7 % 3]
        case 4:
            pod.stuck = True
        case 5:
            pod.slow_ms = 2000
        case _ if pod.loads:
            pod.deny(world.now)


def _disturb(world: World, number: int) -> None:
    match number % 5:
        case 0:
            world.lose_messages = 1 + number % 3
        case 1:
            world.lose_answers = 1 + number % 7
        case 2:
            world.refuse_statuses = 1 + number % 2
        case 3:
            world.setup_fails = not world.setup_fails
        case _:
            world.cannot_arm = not world.cannot_arm


def _budget(world: World, number: int) -> None:
    if number % 4 == 0:
        world.remove(BUDGET)
    else:
        world.put(budget(responseTime={"*": {"p95": f"{80 * (number % 5) + 50}ms"}}))
    world.reconcile(BUDGET)


def _delete(world: World, number: int) -> None:
    if number % 3 == 0:
        for job in world.jobs():
            world.remove(Key(Kind.JOB, NAMESPACE, job))
    elif TEST in world.objects:
        world.remove(TEST)
        if number % 3 == 1:
            world.reconcile()
    else:
        world.put(load_test())


def _passes(world: World, number: int) -> None:
    """As an operator that is well: passes, each after the time that it asked for."""
    for _ in range(1 + number):
        after = world.reconcile()
        world.advance(min(after or 0.0, 5.0) or 0.01)


def _inputs(world: World, number: int) -> None:
    """The rows that some specs take come, change and go."""
    if number % 3:
        world.put(config_map("rows", **{"rows.csv": f"a\n{number % 4}\n"}))
    else:
        world.remove(Key(Kind.CONFIG_MAP, NAMESPACE, "rows"))


def _rules(world: World, number: int) -> None:
    """The platform restarts its operator with other rules on where load may go."""
    world.targets = ELSEWHERE if number % 3 == 0 else ANYWHERE
    world.restart()


OPERATIONS = {
    "inputs": _inputs,
    "interrupt": lambda world, _: world.interrupt(),
    "passes": _passes,
    "crash": lambda world, number: world.reconcile(crash_after=number % 6),
    "time": lambda world, number: world.advance((0.3, 1, 2, 6, 12, 25, 45, 400)[number % 8]),
    "edit": _edit,
    "rerun": _rerun,
    "hurt": _hurt,
    "disturb": _disturb,
    "budget": _budget,
    "delete": _delete,
    "restart": lambda world, _: world.restart(),
    "rules": _rules,
}


def _calm(world: World) -> None:
    """What goes by itself has gone. Runners that are silent or stuck stay so: a run ends all the same."""
    world.lose_messages = world.lose_answers = world.refuse_statuses = 0
    world.cannot_arm = world.setup_fails = False
    world.crashes = world.losses = 0.0


WEIGHTS = {
    "passes": 8,
    "crash": 6,
    "time": 3,
    "edit": 4,
    "hurt": 5,
    "disturb": 3,
    "rerun": 1,
    "budget": 1,
    "delete": 2,
    "restart": 1,
    "inputs": 1,
    "interrupt": 1,
    "rules": 1,
}
SPECS: list[dict[str, Any]] = [
    {},
    {"runners": {"count": 1}, "onInconclusive": {"retries": 1}, "scenarios": [{**SCENARIO, "duration": "90s"}]},
    {"setup": {"steps": STEPS}, "teardown": {"steps": STEPS}, "runners": {"count": 3}},
    {"thresholds": {"http_req_duration": [{"threshold": "p(95)<500", "abortOnFail": True}]}},
    {"startDeadline": "20s", "deadline": "20s", "ttlSecondsAfterFinished": 0},
    {"scenarios": [{**SCENARIO, "duration": "90s"}], "teardown": {"steps": STEPS}},
    {"scenarios": [{**SCENARIO, "duration": "90s"}], "runners": {"count": 1}},
    {"data": {"rows": {"csv": {"configMapKeyRef": {"name": "rows", "key": "rows.csv"}}}}, "startDeadline": "40s"},
]
History = list[tuple[str, int]]


def _invented(seed: int) -> tuple[dict[str, Any], History]:
    """A way into a run's life, so that every part of it is met, and then whatever happens."""
    chance = random.Random(seed)
    lead_in = [("passes", 0)] * chance.randrange(22)
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    events = [(chance.choices(kinds, weights)[0], chance.randrange(24)) for _ in range(chance.randrange(1, 25))]
    # Time moves in small steps mostly: what happens at one moment is what is hard.
    small = [(name, number % 3 if name == "passes" and chance.random() < 0.8 else number) for name, number in events]
    return chance.choice(SPECS), [*lead_in, *small]


WEATHERS = [(0.0, 0.0), (0.0, 0.0), (0.06, 0.0), (0.0, 0.2), (0.03, 0.1)]
"""How likely each change is the operator's last, and how likely a message or an answer is lost."""


def _play(seed: int, spec: dict[str, Any], history: History) -> None:
    world = World(chance=random.Random(seed))
    world.crashes, world.losses = WEATHERS[seed % len(WEATHERS)]
    try:
        laws = Laws(world)
        world.put(load_test(**copy.deepcopy(spec)))
        for operation, number in history:
            OPERATIONS[operation](world, number)
            laws.moment(world)
        _calm(world)
        world.settle(limit=1500)
        world.advance(60)
        world.settle(limit=1500)
        laws.at_rest(world)
    finally:
        world.close()


def _breaks(seed: int, spec: dict[str, Any], history: History) -> bool:
    try:
        _play(seed, spec, history)
    except Exception:  # noqa: BLE001 - whatever it is, it is what shrinking is after
        return True
    return False


def _shrunk(seed: int, spec: dict[str, Any], history: History) -> History:
    """The same failure, or another one, with no event that could be left out."""
    position = 0
    while position < len(history):
        shorter = history[:position] + history[position + 1 :]
        if _breaks(seed, spec, shorter):
            history = shorter
        else:
            position += 1
    return history


@pytest.mark.timeout(900)
def test_the_laws_of_a_runs_life_hold_in_every_history() -> None:
    """No history of crashes, lost runners, lost messages, edits and deletions breaks a law of a run's life."""
    for seed in range(FIRST, FIRST + HISTORIES):
        spec, history = _invented(seed)
        if _breaks(seed, spec, history):
            shortest = _shrunk(seed, spec, history)
            print(f"seed {seed}\nspec = {spec}\nhistory = {shortest}")  # noqa: T201 - shown where the test fails
            _play(seed, spec, shortest)
