"""A run's life, one truth at a time: what starts it, what ends it, and what its status says meanwhile."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from reconcile_world import BUDGET, NAMESPACE, TEST, WHOLE, World, budget, config_map, load_test

from loadgate.api.conditions import Phase
from loadgate.control import RunnerState
from loadgate_operator.cluster.port import Key, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = [{"request": {"name": "seed", "url": "/seed"}, "extract": {"id": {"json": "$.id"}}}]
SCENARIO: dict[str, Any] = load_test()["spec"]["scenarios"][0]


@pytest.fixture
def world() -> Iterator[World]:
    out = World()
    yield out
    out.close()


def phases(world: World) -> list[str]:
    """The phases that were seen, each once as long as it lasted."""
    out: list[str] = []
    for status in world.statuses:
        if not out or out[-1] != status["phase"]:
            out.append(status["phase"])
    return out


def set_spec(world: World, **spec: Any) -> None:
    world.edit(lambda obj: obj["spec"].update(spec))


def test_a_run_goes_through_its_phases_to_a_verdict(world: World) -> None:
    """Every runner is told once, all results are merged, and the status has said each phase in its turn."""
    world.put(load_test())
    status = world.settle()
    assert phases(world) == ["Pending", "Starting", "Running", "Passed"]
    assert [(index, run) for run, index, _ in world.starts] == [(0, status["run"]["id"]), (1, status["run"]["id"])]
    assert status["summary"]["requests"] == 2 * WHOLE
    assert status["runners"] == {"desired": 2, "ready": 2, "finished": 2, "lost": 0}
    assert status["progress"] == 100
    assert status["run"]["cause"] == "Created"
    assert all(pod.phase == "Succeeded" for pod in world.pods.values()), "acknowledged runners exit"


def test_all_runners_begin_at_one_instant(world: World) -> None:
    """The start is planned ahead, so that each message has the time that is left."""
    world.put(load_test(runners={"count": 3}))
    world.until(Phase.Running)
    assert len({pod.begins_at for pod in world.pods.values()}) == 1


UNDER_WAY = {"Reconciling": "True", "Ready": "Unknown", "Complete": "False", "Passed": "Unknown"}
BLOCKED = {"Stalled": "True", "Ready": "False", "Complete": "False", "Passed": "Unknown"}
NOT_PASSED = {"Stalled": "True", "Ready": "False", "Complete": "True", "Passed": "False"}
PASSED = {"Ready": "True", "Complete": "True", "Passed": "True"}


@pytest.mark.parametrize("phase", [Phase.Pending, Phase.Starting, Phase.Running, Phase.Judging])
def test_a_run_under_way_is_reconciling(world: World, phase: Phase) -> None:
    """Until the verdict nothing is said to have failed, and Passed stays Unknown."""
    world.put(load_test(setup={"steps": STEPS}, teardown={"steps": STEPS}))
    world.until(phase)
    assert {kind: status for kind, (status, _) in world.conditions.items()} == UNDER_WAY


VERDICTS = [
    ({}, 100, PASSED, "Passed", "LimitsHeld"),
    ({"thresholds": {}}, 100, PASSED, "Passed", "NothingAsked"),
    ({}, 900, NOT_PASSED, "Failed", "ThresholdViolated"),
    ({"thresholds": {}, "budgets": [{"name": "shop"}]}, 400, NOT_PASSED, "Failed", "BudgetViolated"),
    ({"thresholds": {"http_req_duration{status:503}": ["p(95)<1"]}}, 100, NOT_PASSED, "Inconclusive", "NoSamples"),
]


@pytest.mark.parametrize(("spec", "slow", "row", "phase", "reason"), VERDICTS)
def test_a_verdict_has_its_row(
    world: World, spec: dict[str, Any], slow: int, row: dict[str, str], phase: str, reason: str
) -> None:
    """Machines read a verdict in the conditions: which are there, and the reason of the one that they wait on."""
    world.slow_ms = slow
    if "budgets" in spec:
        world.put(budget(selector={"matchLabels": {"app": "none"}}))
    world.put(load_test(**spec))
    world.settle()
    assert world.status["phase"] == phase
    assert {kind: status for kind, (status, _) in world.conditions.items()} == row
    assert world.conditions["Stalled" if row is NOT_PASSED else "Passed"][1] == reason
    assert world.conditions["Complete"][1] == "RunFinished"
    if phase == "Inconclusive":
        assert world.conditions["Passed"][1] == "Inconclusive"


BLOCKS = [
    ({"scenarios": [{**SCENARIO, "vus": -1}]}, "InvalidSpec", "spec.scenarios[0].vus"),
    ({"suspend": True}, "Suspended", "spec.suspend"),
    ({"budgets": [{"name": "nowhere"}]}, "BudgetNotFound", "nowhere"),
]


@pytest.mark.parametrize(("spec", "reason", "words"), BLOCKS)
def test_what_someone_must_change_is_stalled(world: World, spec: dict[str, Any], reason: str, words: str) -> None:
    """Where nothing can run until someone acts, that is said with what to change, and nothing is made."""
    world.put(load_test(**spec))
    world.settle()
    assert {kind: status for kind, (status, _) in world.conditions.items()} == BLOCKED
    assert world.conditions["Stalled"][1] == reason
    assert words in world.message("Stalled")
    assert world.status["phase"] == "Pending"
    assert not world.jobs()


def test_what_was_blocked_goes_on_when_it_is_mended(world: World) -> None:
    """A budget that appears, and a spec that is put right, let the run begin."""
    world.put(load_test(budgets=[{"name": "shop"}]))
    world.settle()
    world.put(budget())
    assert world.settle()["phase"] == "Passed"


def test_the_start_waits_for_every_runner(world: World) -> None:
    """One runner that never arms keeps all from beginning; when the start deadline is over its pods are stopped."""
    world.put(load_test(startDeadline="60s"))
    world.reconcile()
    world.reconcile()
    world.advance(0.5)
    world.live()[1].arms_at = world.now + 1e6
    world.advance(20)
    world.reconcile()
    assert world.conditions["Reconciling"][1] == "WaitingForRunners"
    assert "1 of 2" in world.message("Reconciling")
    assert world.status["runners"]["ready"] == 1
    status = world.settle()
    world.advance(20)
    assert status["phase"] == "Inconclusive"
    assert world.conditions["Stalled"][1] == "StartDeadlineExceeded"
    assert not world.starts
    world.settle()
    assert not world.jobs()


def test_a_runner_that_cannot_arm_ends_the_start_with_its_message(world: World) -> None:
    """A script that doesn't compile will not compile in five minutes either."""
    world.cannot_arm = True
    world.put(load_test())
    begun = world.now
    world.settle()
    assert world.now - begun < 30
    assert world.status["phase"] == "Inconclusive"
    assert world.conditions["Stalled"][1] == "ArmingFailed"
    assert "the script doesn't compile" in world.message("Stalled")


def _data(order: str = "sequential") -> dict[str, Any]:
    return {"rows": {"csv": {"configMapKeyRef": {"name": "rows", "key": "rows.csv"}}, "order": order}}


def test_a_missing_config_map_holds_the_run_until_it_is_there(world: World) -> None:
    """What is missing is named while it lasts; when it comes it is the same run that begins."""
    world.put(load_test(data=_data()))
    for _ in range(4):
        world.advance(world.reconcile() or 1)
    assert world.conditions["Reconciling"][1] == "ConfigMapNotFound"
    assert "rows/rows.csv" in world.message("Reconciling")
    assert not world.jobs()
    world.put(config_map("rows", **{"rows.csv": "a\n1\n"}))
    status = world.settle()
    assert status["phase"] == "Passed"
    assert status["run"]["number"] == 1


def test_a_missing_secret_ends_the_run_at_the_start_deadline(world: World) -> None:
    """Nobody brings the Secret: the run is Inconclusive and says which key was missing."""
    world.put(load_test(startDeadline="30s", secrets={"pw": {"secretKeyRef": {"name": "shop", "key": "pw"}}}))
    status = world.settle()
    assert status["phase"] == "Inconclusive"
    assert status["doubts"][0]["reason"] == "StartDeadlineExceeded"
    assert "shop/pw" in status["doubts"][0]["message"]


def test_setup_is_done_once_before_load_and_reaches_every_runner(world: World) -> None:
    """One runner does the setup steps; the world checks that each start brings along what they extracted."""
    world.put(load_test(setup={"steps": STEPS}, runners={"count": 3}))
    status = world.settle()
    assert status["phase"] == "Passed"
    assert [pod.setups for pod in sorted(world.ever, key=lambda pod: pod.index)] == [1, 0, 0]
    assert "s3cret" not in str(world.objects), "what setup extracted is stored nowhere"


def test_a_setup_that_fails_ends_the_run_without_load(world: World) -> None:
    """No load is made, and the verdict says which step failed."""
    world.setup_fails = True
    world.put(load_test(setup={"steps": STEPS}, teardown={"steps": STEPS}))
    status = world.settle()
    assert status["phase"] == "Inconclusive"
    assert world.conditions["Stalled"][1] == "SetupFailed"
    assert "POST /seed answered 500" in world.message("Stalled")
    assert not world.starts
    assert not any(pod.teardowns for pod in world.ever), "nothing was set up"


@pytest.mark.parametrize("stopped", [False, True])
def test_teardown_is_done_once_also_when_the_run_was_stopped(world: World, *, stopped: bool) -> None:
    """After the load one runner does the teardown steps, before the run is over."""
    world.put(load_test(setup={"steps": STEPS}, teardown={"steps": STEPS}))
    world.until(Phase.Running)
    if stopped:
        set_spec(world, suspend=True)
    status = world.settle()
    assert status["phase"] == ("Aborted" if stopped else "Passed")
    assert sum(pod.teardowns for pod in world.ever) == 1


def test_a_lost_runner_makes_the_run_inconclusive_and_its_replacement_never_begins(world: World) -> None:
    """The others go on to their end; the pod that took the place is seen, named and not started."""
    world.put(load_test())
    world.until(Phase.Running)
    world.advance(3)
    lost = world.live()[0]
    lost.phase = "Failed"
    world.advance(8)
    status = world.settle()
    assert status["phase"] == "Inconclusive"
    assert [doubt["reason"] for doubt in status["doubts"]] == ["RunnerLost"]
    replacement = next(pod for pod in world.ever if pod.index == lost.index and pod.uid != lost.uid)
    assert replacement.begins == 0
    assert replacement.name in status["doubts"][0]["message"]
    assert status["runners"]["lost"] == 1


def test_a_runner_that_goes_is_lost_whatever_was_heard_of_it_last(world: World) -> None:
    """A pod that is asked in vain and then seen to be gone is a lost runner, however long the run goes on without it."""
    world.put(load_test(scenarios=[{**SCENARIO, "duration": "3m"}]))
    world.until(Phase.Running)
    lost = world.live()[0]
    lost.mute_until = 1e12
    for _ in range(3):
        world.advance(2)
        world.reconcile()
    lost.phase = "Failed"
    status = world.settle()
    assert [doubt["reason"] for doubt in status["doubts"]] == ["RunnerLost"]


def test_a_silent_runner_is_taken_away_before_the_run_is_over(world: World) -> None:
    """Nobody can say whether it still makes load, so its pod goes before a verdict is given."""
    world.put(load_test())
    world.until(Phase.Running)
    silent = world.live()[0]
    silent.mute_until = 1e12
    status = world.settle()
    assert status["phase"] == "Inconclusive"
    assert [doubt["reason"] for doubt in status["doubts"]] == ["RunnerSilent"]
    assert silent.uid not in world.pods


def test_a_finished_runs_job_goes_with_the_last_of_its_pods(world: World) -> None:
    """Where all pods of a finished run are being deleted, as with a namespace, its Job must not hold them back."""
    world.put(load_test())
    world.settle()
    assert world.jobs(), "pods are kept for a while"
    for pod in world.pods.values():
        pod.deleting_at = world.now
    world.reconcile()
    assert not world.jobs()


def test_the_deadline_cuts_a_run_off(world: World) -> None:
    """A run that is longer than spec.deadline is stopped, and is not a pass."""
    world.put(load_test(deadline="25s"))
    world.until(Phase.Running)
    world.live()[0].slow_to_end = 600
    status = world.settle()
    assert status["phase"] == "Inconclusive"
    assert [doubt["reason"] for doubt in status["doubts"]] == ["DeadlineExceeded"]
    assert world.now - world.ever[0].begins_at < 40


def test_a_runner_that_never_finishes_is_taken_away(world: World) -> None:
    """Long after its planned end a run ends all the same: stopped, hurried, then without its pods."""
    world.put(load_test())
    world.until(Phase.Running)
    world.live()[0].stuck = True
    status = world.settle()
    assert status["phase"] == "Inconclusive"
    assert "DeadlineExceeded" in [doubt["reason"] for doubt in status["doubts"]]


def test_an_abort_threshold_ends_the_run_as_failed(world: World) -> None:
    """A limit with abortOnFail that breaks stops the load, and the verdict is Failed."""
    world.slow_ms = 900
    world.put(load_test(thresholds={"http_req_duration": [{"threshold": "p(95)<500", "abortOnFail": True}]}))
    status = world.settle()
    assert status["phase"] == "Failed"
    assert status["summary"]["requests"] < 2 * WHOLE
    assert status["violations"][0]["source"] == "threshold"


def test_suspending_calls_a_run_off_and_keeps_what_was_measured(world: World) -> None:
    """As with a Job: suspend stops what runs, and taking it back starts anew."""
    world.put(load_test())
    world.until(Phase.Running)
    world.advance(8)
    set_spec(world, suspend=True)
    status = world.settle()
    assert status["phase"] == "Aborted"
    assert {kind: value for kind, (value, _) in world.conditions.items()} == NOT_PASSED
    assert world.conditions["Stalled"][1] == "Suspended"
    assert world.conditions["Complete"][1] == "Aborted"
    assert 0 < status["summary"]["requests"] < 2 * WHOLE
    assert world.result() is not None
    set_spec(world, suspend=False)
    status = world.settle()
    assert (status["phase"], status["run"]["number"], status["run"]["cause"]) == ("Passed", 2, "Resumed")
    assert [(entry["number"], entry["verdict"]) for entry in status["history"]] == [(1, "Aborted")]


def test_a_suspension_that_is_taken_back_too_late_has_still_called_the_run_off(world: World) -> None:
    """Once the end is put down nothing undoes it: the runners may be stopped already."""
    world.put(load_test())
    world.until(Phase.Running)
    set_spec(world, suspend=True)
    world.reconcile()
    set_spec(world, suspend=False)
    status = world.settle()
    assert status["history"][0]["verdict"] == "Aborted"
    assert status["phase"] == "Passed"


def test_suspending_a_test_that_is_over_changes_nothing(world: World) -> None:
    """Suspension starts nothing and takes nothing back."""
    world.put(load_test())
    world.settle()
    set_spec(world, suspend=True)
    assert world.settle()["phase"] == "Passed"


def test_a_new_spec_stops_the_run_and_starts_the_next(world: World) -> None:
    """The old run is in the history as Aborted; whoever waits never sees a failing value in between."""
    world.put(load_test())
    world.until(Phase.Running)
    world.advance(5)
    before = len(world.statuses)
    set_spec(world, scenarios=[{**SCENARIO, "vus": 9}])
    status = world.settle()
    assert (status["phase"], status["run"]["number"], status["run"]["cause"]) == ("Passed", 2, "SpecChanged")
    assert [(entry["number"], entry["verdict"]) for entry in status["history"]] == [(1, "Aborted")]
    passed = [one["status"] for s in world.statuses[before:] for one in s["conditions"] if one["type"] == "Passed"]
    assert set(passed) == {"Unknown", "True"}


def test_a_spec_that_becomes_invalid_stops_the_run(world: World) -> None:
    """Nobody knows what an invalid spec asks for, so what runs is called off; put right, it runs again."""
    world.put(load_test())
    world.until(Phase.Running)
    set_spec(world, scenarios=[{**SCENARIO, "vus": -1}])
    world.settle()
    assert world.conditions["Stalled"][1] == "InvalidSpec"
    assert not any(pod.loads for pod in world.pods.values())
    set_spec(world, scenarios=[SCENARIO])
    status = world.settle()
    assert (status["phase"], status["run"]["number"]) == ("Passed", 2)


JUDGING = [
    {"thresholds": {"http_req_duration": ["p(95)<50"]}},
    {"thresholds": {"http_req_duration": ["p(95)<500"], "http_req_failed": ["rate>0.5"]}},
]


@pytest.mark.parametrize("limits", JUDGING)
def test_other_limits_judge_the_stored_result_without_new_load(world: World, limits: dict[str, Any]) -> None:
    """Thresholds alone change the verdict of what was measured; no runner is started."""
    world.put(load_test())
    world.settle()
    starts = len(world.starts)
    set_spec(world, **limits)
    status = world.settle()
    assert (status["phase"], status["run"]["number"]) == ("Failed", 1)
    assert status["observedGeneration"] == 2
    assert len(world.starts) == starts
    stored = world.result()
    assert stored is not None
    assert stored.verdict.outcome == "Failed"
    assert stored.manifest["spec"]["thresholds"] == limits["thresholds"]
    assert stored.manifest["metadata"]["generation"] == 2
    assert (stored.run.id, stored.run.number) == (status["run"]["id"], 1)


def test_the_end_of_the_load_is_told_apart_from_the_end_of_the_run(world: World) -> None:
    """20 s of load end 20 s after it began, in the status and in the result, however long the rest takes."""
    world.put(load_test(teardown={"steps": [{"request": {"url": "/"}}]}))
    world.until(Phase.Running)
    for pod in world.pods.values():
        pod.teardown_hangs = True
    world.until(Phase.Judging)
    world.advance(10)
    for pod in world.pods.values():
        pod.teardown_hangs = False
    status = world.settle()
    begun, ended, over = (
        datetime.fromisoformat(status["run"][name]).timestamp() for name in ("startedAt", "loadEndedAt", "finishedAt")
    )
    assert ended == begun + 20
    assert over > ended
    stored = world.result()
    assert stored is not None
    assert stored.run.load_ended_at == status["run"]["loadEndedAt"]


def test_a_run_without_load_has_no_end_of_it(world: World) -> None:
    """A setup that fails makes no load: the status doesn't claim that any ended."""
    world.setup_fails = True
    world.put(load_test(setup={"steps": [{"request": {"url": "/seed"}}]}))
    run = world.settle()["run"]
    assert run["verdict"] == "Inconclusive"
    assert "loadEndedAt" not in run


def test_a_budget_that_changes_judges_the_stored_results_again(world: World) -> None:
    """The test's verdict and the budget's own status follow, with no new load."""
    world.put(budget())
    world.put(load_test())
    assert world.settle()["phase"] == "Passed"
    world.put(budget(responseTime={"*": {"p95": "50ms"}}))
    status = world.settle()
    assert (status["phase"], status["run"]["number"]) == ("Failed", 1)
    assert world.conditions["Stalled"][1] == "BudgetViolated"
    said = world.objects[BUDGET]["status"]
    satisfied = next(one for one in said["conditions"] if one["type"] == "Satisfied")
    assert (satisfied["status"], satisfied["reason"]) == ("False", "BudgetViolated")
    assert said["loadTests"][0]["violations"][0]["source"] == "budget/shop"
    world.remove(BUDGET)
    assert world.settle()["phase"] == "Passed"


def test_a_budget_that_only_warns_is_reported_and_changes_no_verdict(world: World) -> None:
    """Its own status says that it was broken; the test passes."""
    world.put(budget(enforcement="Warn", responseTime={"*": {"p95": "50ms"}}))
    world.put(load_test())
    assert world.settle()["phase"] == "Passed"
    world.reconcile(BUDGET)
    said = world.objects[BUDGET]["status"]
    assert said["loadTests"][0]["satisfied"] is False


BOOKKEEPING = [
    {"historyLimit": 1},
    {"ttlSecondsAfterFinished": 7200},
    {"deadline": "1h"},
    {"onInconclusive": {"retries": 2}},
    {"warmup": "0s"},
]


@pytest.mark.parametrize("spec", BOOKKEEPING)
def test_bookkeeping_neither_runs_nor_judges(world: World, spec: dict[str, Any]) -> None:
    """Only the generation is taken note of; a default that is written down is no change at all."""
    world.put(load_test())
    before = world.settle()
    set_spec(world, **spec)
    after = world.settle()
    assert after["observedGeneration"] == 2
    assert (after["run"], after["phase"]) == (before["run"], before["phase"])


def test_a_new_rerun_value_starts_a_run_and_taking_it_away_does_not(world: World) -> None:
    """`kubectl annotate loadgate.dev/rerun=…` measures again, each value once."""
    world.put(load_test())
    world.settle()
    for value, number in (("a", 2), ("b", 3), ("b", 3), (None, 3)):
        annotations = {"loadgate.dev/rerun": value} if value else {}
        world.edit(lambda obj, new=annotations: obj["metadata"].update(annotations=new))
        status = world.settle()
        assert status["run"]["number"] == number
    assert status["run"]["cause"] == "Rerun"


def test_new_contents_of_an_input_start_a_run_and_its_loss_does_not(world: World) -> None:
    """The rows that the load is made of are a part of it."""
    world.put(config_map("rows", **{"rows.csv": "a\n1\n"}))
    world.put(load_test(data=_data()))
    world.settle()
    world.put(config_map("rows", **{"rows.csv": "a\n2\n"}))
    status = world.settle()
    assert (status["run"]["number"], status["run"]["cause"]) == (2, "InputsChanged")
    world.remove(Key(Kind.CONFIG_MAP, NAMESPACE, "rows"))
    assert world.settle()["run"]["number"] == 2


def test_an_inconclusive_run_is_repeated_as_often_as_asked_for(world: World) -> None:
    """Each attempt is a run of its own; only the last one's verdict is ever shown."""
    world.put(load_test(thresholds={"http_req_duration{status:503}": ["p(95)<1"]}, onInconclusive={"retries": 2}))
    status = world.settle()
    assert (status["phase"], status["run"]["attempt"], status["run"]["number"]) == ("Inconclusive", 3, 3)
    assert status["run"]["cause"] == "Retry"
    assert phases(world).count("Inconclusive") == 1


def test_the_history_and_the_stored_results_are_pruned(world: World) -> None:
    """HistoryLimit earlier results are kept beside the newest one."""
    world.put(load_test(historyLimit=2))
    for vus in range(1, 6):
        set_spec(world, scenarios=[{**SCENARIO, "vus": vus}])
        world.settle()
    assert [entry["number"] for entry in world.status["history"]] == [4, 3]
    assert world.results() == [f"checkout-{n}-result" for n in (3, 4, 5)]


def test_pods_go_after_their_time_and_the_result_stays(world: World) -> None:
    """TtlSecondsAfterFinished removes the Job, the plan and the token."""
    world.put(load_test(ttlSecondsAfterFinished=100))
    world.settle()
    assert world.jobs()
    world.advance(101)
    world.settle()
    assert [key for key in world.objects if key.kind in (Kind.JOB, Kind.SECRET)] == []
    assert world.results() == ["checkout-1-result"]
    assert world.status["phase"] == "Passed"


def test_a_result_that_is_gone_cannot_be_judged_again(world: World) -> None:
    """The verdict stands while the limits do; other limits need a new run, and the message says how to get it."""
    world.put(load_test())
    world.settle()
    world.remove(Key(Kind.CONFIG_MAP, NAMESPACE, "checkout-1-result"))
    assert world.settle()["phase"] == "Passed"
    set_spec(world, thresholds={"http_req_duration": ["p(95)<50"]})
    world.settle()
    assert world.conditions["Stalled"][1] == "ResultUnreadable"
    assert "loadgate.dev/rerun" in world.message("Stalled")


def test_interrupting_keeps_and_judges_what_was_measured(world: World) -> None:
    """Whoever runs the operator ends it: the run is Inconclusive as far as it got, and no other begins."""
    world.put(load_test(onInconclusive={"retries": 3}))
    world.until(Phase.Running)
    world.advance(8)
    world.interrupt()
    status = world.settle()
    assert status["phase"] == "Inconclusive"
    assert [doubt["reason"] for doubt in status["doubts"]] == ["Interrupted"]
    assert status["summary"]["requests"] > 0
    assert status["run"]["number"] == 1


def test_a_job_that_someone_deletes_ends_its_run(world: World) -> None:
    """The pods went with it, and so did what they measured."""
    world.put(load_test())
    world.until(Phase.Running)
    world.remove(Key(Kind.JOB, NAMESPACE, world.jobs()[0]))
    status = world.settle()
    assert status["phase"] == "Inconclusive"
    assert world.conditions["Stalled"][1] == "RunnerLost"


def test_a_test_made_anew_waits_until_the_old_ones_pods_are_gone(world: World) -> None:
    """Two runs of one name never make load together; world.settle checks nothing of that, so the starts are looked at."""
    world.put(load_test())
    world.until(Phase.Running)
    world.advance(2)
    old = {pod.uid for pod in world.pods.values()}
    world.remove(TEST)
    world.put(load_test())
    world.reconcile()
    world.reconcile()
    assert world.conditions["Reconciling"][1] == "Queued"
    world.settle()
    assert world.status["phase"] == "Passed"
    assert all(pod.begins_at is None or pod.begins_at > 0 for pod in world.ever if pod.uid not in old)


def test_a_limit_that_stays_broken_counts_its_runs(world: World) -> None:
    """`violations[].runs` says for how many runs in a row; judging again is no run."""
    world.slow_ms = 900
    world.put(load_test())
    assert world.settle()["violations"][0]["runs"] == 1
    set_spec(world, scenarios=[{**SCENARIO, "vus": 9}])
    assert world.settle()["violations"][0]["runs"] == 2
    set_spec(world, thresholds={"http_req_duration": ["p(95)<500", "p(95)<5000"]})
    assert world.settle()["violations"][0]["runs"] == 2


def test_a_runner_that_is_told_too_late_puts_the_run_in_doubt(world: World) -> None:
    """It begins at its place in the schedule, and the load that it missed is said."""
    world.put(load_test())
    world.until(Phase.Starting)
    while not world.starts:
        world.lose_messages = 1
        world.advance(world.reconcile() or 0.5)
    world.advance(6)
    status = world.settle()
    assert sorted(pod.offset > 0 for pod in world.ever) == [False, True]
    assert status["phase"] == "Inconclusive"
    assert [doubt["reason"] for doubt in status["doubts"]] == ["LateStart"]


@pytest.mark.parametrize("away", [1.3, 1.5, 1.9, 2.5, 60.0])
def test_a_start_that_nobody_heard_of_is_planned_anew(world: World, away: float) -> None:
    """An operator that died between planning and telling costs the run nothing, however soon or late it is back."""
    world.put(load_test())
    while not (world.jobs() and world.ledger(world.jobs()[0]).chosen):
        # One change is made: the ledger is written, and then the operator dies.
        armed = [pod for pod in world.pods.values() if pod.state is RunnerState.ARMED]
        died = world.now
        world.reconcile(crash_after=1 if len(armed) == 2 else None)
        world.advance(0.5)
    world.advance(away - (world.now - died))
    status = world.settle()
    assert status["phase"] == "Passed"
    assert status["summary"]["requests"] == 2 * WHOLE


def test_an_operator_that_was_away_takes_up_the_run_where_it_is(world: World) -> None:
    """Runners go on without it and wait with what they measured."""
    world.put(load_test())
    world.until(Phase.Running)
    world.advance(2)
    world.reconcile()
    world.restart()
    world.advance(120)
    status = world.settle()
    assert status["phase"] == "Passed"
    assert status["summary"]["requests"] == 2 * WHOLE


def test_live_figures_are_written_at_most_every_two_seconds(world: World) -> None:
    """However often a pass is made, a status that only shows progress is written seldom."""
    world.put(load_test())
    world.until(Phase.Running)
    world.advance(4)
    world.reconcile()
    before = len(world.statuses)
    for _ in range(20):
        world.advance(0.1)
        world.reconcile()
    assert len(world.statuses) - before <= 1


def test_a_status_that_says_what_it_said_is_not_written(world: World) -> None:
    """A pass that finds nothing new writes nothing."""
    world.put(load_test())
    world.settle()
    before = len(world.statuses)
    for _ in range(5):
        world.reconcile()
    assert len(world.statuses) == before


def test_a_test_that_goes_takes_its_job_along(world: World) -> None:
    """What is left of it ends at once, also before the garbage collector comes by."""
    world.put(load_test())
    world.until(Phase.Running)
    del world.objects[TEST]  # nobody collects
    world.reconcile()
    assert not world.jobs()


def test_a_result_that_cannot_be_kept_ends_the_run_without_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict stands, and the status points to no result."""
    world.refuse_results = True
    world.put(load_test())
    status = world.settle()
    assert status["phase"] == "Passed"
    assert "result" not in status


def test_a_run_that_is_refused_says_what_to_change_and_ends_at_the_start_deadline(world: World) -> None:
    """Admission that takes no Job is for someone to see to; the run waits for that, but not for ever."""
    world.refuse_jobs = True
    world.put(load_test(startDeadline="5m"))
    for _ in range(3):
        world.reconcile()
    assert {kind: status for kind, (status, _) in world.conditions.items()} == BLOCKED
    assert world.conditions["Stalled"][1] == "PodRefused"
    assert "no pods here" in world.message("Stalled")
    status = world.settle()
    assert status["phase"] == "Inconclusive"
    assert "no pods here" in status["doubts"][0]["message"]


@pytest.mark.parametrize("there", [True, False])
def test_a_start_is_given_up_with_its_namespace(world: World, *, there: bool) -> None:
    """A run whose pods go with their namespace is called off at once, so that its Job keeps them no longer."""
    world.put(load_test(startDeadline="1h"))
    world.until(Phase.Starting)
    world.going = not there
    world.advance(1)
    assert len(world.pods) == 2 * there
    world.delete_namespace()
    begun = world.now
    status = world.settle()
    assert world.now - begun < 30
    assert (status["phase"], world.conditions["Stalled"]) == ("Aborted", ("True", "Aborted"))
    assert "namespace is being deleted" in world.message("Stalled")
    assert not world.jobs()
    world.advance(30)
    assert not world.pods


@pytest.mark.parametrize(("phase", "end"), [(Phase.Pending, "Aborted"), (Phase.Running, "Inconclusive")])
def test_nothing_hammers_a_namespace_that_goes(world: World, phase: Phase, end: str) -> None:
    """However long a namespace takes to go, a run in it ends and no other begins, and the API server is left alone."""
    world.put(load_test(onInconclusive={"retries": 3}))
    world.until(phase)
    world.delete_namespace()
    status = world.settle()
    assert (status["phase"], status["run"]["number"]) == (end, 1)
    world.calls.clear()
    for _ in range(100):
        after = world.reconcile()
        assert after is None or after >= 1
        world.advance(min(after or 60.0, 60.0))
    assert set(world.calls) <= {"ask whether it goes"}


def test_a_pod_that_goes_alone_calls_nothing_off(world: World) -> None:
    """A pod that someone deletes before the start is replaced, and the run passes."""
    world.put(load_test())
    world.until(Phase.Starting)
    world.reconcile()
    world.advance(1)
    world.live()[0].deleting_at = world.now
    status = world.settle()
    assert status["phase"] == "Passed"
    assert world.calls["ask whether it goes"] > 0


def test_nobody_is_started_before_the_status_says_that_the_run_has_begun(world: World) -> None:
    """Else a Job that someone deletes could not be told from one that is still to be made, and load would come twice."""
    world.put(load_test())
    world.reconcile()
    world.refuse_statuses = 1_000
    for _ in range(20):
        world.reconcile()
        world.advance(1)
    assert world.jobs()
    assert not world.starts
    world.refuse_statuses = 0
    assert world.settle()["phase"] == "Passed"


def test_an_operator_that_was_away_too_long_finds_the_results_in_the_logs(world: World) -> None:
    """Runners linger for a while; after that their last snapshots are in their pods' logs."""
    world.put(load_test())
    world.until(Phase.Running)
    world.restart()
    world.advance(2000)
    assert all(pod.phase == "Succeeded" for pod in world.ever)
    status = world.settle()
    assert status["phase"] == "Passed"
    assert status["summary"]["requests"] == 2 * WHOLE


def test_a_pod_that_took_a_lost_runners_place_is_let_go_when_the_run_is_over(world: World) -> None:
    """It is stopped and acknowledged like the others, though it never began, and holds no resources for an hour."""
    world.put(load_test())
    world.until(Phase.Running)
    world.live()[0].phase = "Failed"
    world.settle()
    assert world.now < world.ever[0].arms_at + 60
    assert [pod.phase for pod in world.ever] == ["Failed", "Succeeded", "Succeeded"]


def test_what_runners_said_is_forgotten_with_their_run(world: World) -> None:
    """An operator that runs for months keeps nothing of runs that are over and cleared away."""
    world.put(load_test(ttlSecondsAfterFinished=10))
    run = world.settle()["run"]["id"]
    assert world.collector.answers(run)
    world.advance(20)
    world.settle()
    world.advance(20)
    world.settle()
    assert not world.collector.answers(run)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("slow", "spec", "phase", "reason"),
    [
        (100, {}, "Passed", "LimitsHeld"),
        (900, {}, "Failed", "ThresholdViolated"),
        (100, {"thresholds": {"http_req_duration{status:503}": ["p(95)<1"]}}, "Inconclusive", "NoSamples"),
    ],
)
def test_a_spec_that_is_spoilt_and_mended_has_its_verdict_back(
    world: World, slow: int, spec: dict[str, Any], phase: str, reason: str, *, kept: bool
) -> None:
    """An invalid spec says nothing of the run before it, and the same spec again is no new run."""
    world.slow_ms = slow
    world.put(load_test(**spec))
    world.settle()
    before = world.conditions
    set_spec(world, scenarios=[{**SCENARIO, "vus": -1}])
    world.settle()
    assert world.conditions["Stalled"][1] == "InvalidSpec"
    if not kept:
        world.remove(Key(Kind.CONFIG_MAP, NAMESPACE, "checkout-1-result"))
    set_spec(world, scenarios=[SCENARIO])
    status = world.settle()
    assert (status["phase"], status["run"]["number"], status["observedGeneration"]) == (phase, 1, 3)
    assert world.conditions == before
    assert world.conditions["Passed" if phase == "Passed" else "Stalled"][1] == reason


def _tearing_down(world: World) -> Any:
    """A run whose load is over, and the pod that was told to do the teardown steps."""
    world.put(load_test(teardown={"steps": STEPS}))
    world.until(Phase.Judging)
    return next(pod for pod in world.ever if pod.teardowns)


def test_a_teardown_whose_runner_is_gone_is_not_done_again(world: World) -> None:
    """Who knows how far it got: it is said, and the verdict stands."""
    _tearing_down(world).phase = "Failed"
    assert world.settle()["phase"] == "Passed"
    assert sum(pod.teardowns for pod in world.ever) == 1
    assert ("Warning", "TeardownFailed") in [event[:2] for event in world.events]


def test_a_teardown_that_takes_too_long_is_not_waited_for(world: World) -> None:
    """Five minutes, and the verdict is given."""
    pod = _tearing_down(world)
    pod.teardown_hangs = True
    begun = world.now
    assert world.settle(limit=800)["phase"] == "Passed"
    assert 290 < world.now - begun < 320


def test_a_run_without_a_runner_left_has_no_teardown(world: World) -> None:
    """Nobody is there to do it, and that is said."""
    world.put(load_test(teardown={"steps": STEPS}))
    world.until(Phase.Running)
    for pod in world.live():
        pod.phase = "Failed"
    assert world.settle()["phase"] == "Inconclusive"
    assert "TeardownFailed" in [event[1] for event in world.events]


def test_iterations_are_progress_where_they_end_the_run(world: World) -> None:
    """A run of a hundred iterations is half done after fifty, however long it may take at most."""
    scenario = {**SCENARIO, "executor": "shared-iterations", "iterations": WHOLE, "maxDuration": "200s"}
    del scenario["duration"]
    world.put(load_test(scenarios=[scenario]))
    world.until(Phase.Running)
    world.advance(51)  # a quarter of the time, in which two runners did fifty of a hundred
    world.reconcile()
    assert 48 <= world.status["progress"] <= 52


def test_a_ledger_that_someone_changed_ends_the_run(world: World) -> None:
    """Who was chosen can't be known any more, so nobody begins, and it is said why."""
    world.put(load_test())
    world.until(Phase.Starting)
    job = Key(Kind.JOB, NAMESPACE, world.jobs()[0])
    world.objects[job]["metadata"]["annotations"] = {"loadgate.dev/ledger": "{}"}
    status = world.settle()
    assert status["phase"] == "Inconclusive"
    assert "loadgate.dev/ledger" in status["doubts"][0]["message"]
    assert not world.starts
    assert not world.jobs()


def test_a_status_that_cannot_be_read_is_made_anew(world: World) -> None:
    """What another version wrote, or a person, is no reason to stand still; numbers still only grow."""
    world.put(load_test())
    world.settle()
    world.objects[TEST]["status"] = {"phase": "Dancing"}
    status = world.settle()
    assert (status["phase"], status["run"]["number"]) == ("Passed", 2)


def test_events_that_cannot_be_recorded_hold_nothing_up(world: World) -> None:
    """An operator that may write no events runs tests all the same."""
    world.refuse_events = True
    world.put(load_test())
    assert world.settle()["phase"] == "Passed"
