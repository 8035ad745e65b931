"""Doubts: each level, on both sides of it, with a figure and with words on what to change."""

import pytest
from verdict_samples import closed_model, iterations, measured, open_model, plan, snapshot

from loadgate.api.conditions import DoubtReason
from loadgate.plan.document import PlanConnection
from loadgate.verdict import (
    Doubt,
    deadline_exceeded,
    doubts_of,
    interrupted,
    setup_failed,
    start_deadline_exceeded,
)


def reasons(doubts):
    """The reasons of doubts, in order."""
    return [doubt.reason for doubt in doubts]


def of_health(p95_ms=100.0, most=None, **health):
    """The doubts of one runner whose target answers in so many ms, on connections of a pool where there are `most`."""
    asked = plan(closed_model())
    target = asked.target.model_copy(update={"connection": PlanConnection(max_connections=most)})
    asked = asked.model_copy(update={"target": target})
    return doubts_of(asked, [snapshot(measured(60.0, a=[p95_ms]), **health)])


def test_a_healthy_run_has_no_doubt():
    """A runner that did its share, and was at no limit, gives rise to nothing."""
    healthy = {"cpu_ratio": 0.89, "throttled_ratio": 0.09, "lag_p99": 0.049, "slip_p99": 0.049}
    room = {"rss": 89, "memory_limit": 100, "fds": 89, "fd_limit": 100}
    assert of_health(**healthy, **room) == []


@pytest.mark.parametrize(
    ("health", "reason", "figure", "remedy"),
    [
        ({"cpu_ratio": 0.9}, DoubtReason.CPULimit, "90%", "spec.runners.resources.limits.cpu"),
        ({"throttled_ratio": 0.1}, DoubtReason.CPULimit, "10% throttled", "spec.runners.count"),
        ({"lag_p99": 0.05}, DoubtReason.LoopLag, "50ms", "spec.runners.resources"),
        ({"slip_p99": 0.05}, DoubtReason.ScheduleSlip, "50ms", "spec.runners.count"),
        ({"rss": 90_000, "memory_limit": 100_000}, DoubtReason.MemoryLimit, "90 kB of 100 kB", "limits.memory"),
        ({"memory": 90_000, "memory_limit": 100_000, "rss": 1}, DoubtReason.MemoryLimit, "90 kB of 100 kB", "memory"),
        ({"no_buffer": 2}, DoubtReason.MemoryLimit, "2", "limits.memory"),
        ({"fds": 90, "fd_limit": 100}, DoubtReason.FileDescriptors, "90 of 100", "ulimit -n"),
        ({"no_descriptor": 1}, DoubtReason.FileDescriptors, "1", "1 connection failed; raise the limit"),
        ({"no_port": 1}, DoubtReason.SourcePorts, "1", "target.connection.reuse"),
        ({"began_late": 0.7}, DoubtReason.LateStart, "700ms", "run it again"),
        ({"labels_dropped": 1}, DoubtReason.LabelsOverflow, "1", "request.name"),
        ({"data_exhausted": 3}, DoubtReason.DataExhausted, "3", "add rows"),
    ],
)
def test_each_level_of_a_runners_health_is_a_doubt(health, reason, figure, remedy):
    """From its level on, a runner's state is a doubt that names the runner, the figure and what to change."""
    (doubt,) = of_health(**health)
    assert (doubt.reason, doubt.figure) == (reason, figure)
    assert doubt.message.startswith("runner 0")
    assert remedy in doubt.message
    assert doubt.flattering is (reason in {DoubtReason.DataExhausted, DoubtReason.LateStart})


FILES = "raise the limit (ulimit -n) or spec.runners.count, or lower target.connection.maxConnections"
PORTS = (
    "raise spec.runners.count, keep connections for longer (target.connection.maxRequests, maxAge, idleTimeout), lower "
    "target.connection.maxConnections, or widen net.ipv4.ip_local_port_range of the pods"
)


@pytest.mark.parametrize(
    ("health", "remedy"),
    [({"fds": 90, "fd_limit": 100}, FILES), ({"no_descriptor": 1}, FILES), ({"no_port": 1}, PORTS)],
)
def test_what_to_do_about_too_many_connections_is_said_of_the_pool(health, remedy):
    """Where connections are a pool's, it is the pool that can be made smaller, and they are kept between users anyhow."""
    (doubt,) = of_health(most=100, **health)
    assert doubt.message.endswith(f"; {remedy}")
    (doubt,) = of_health(**health)
    assert "maxConnections" not in doubt.message


def test_memory_that_is_shared_counts_once():
    """Where the control group says what is charged, the processes' resident memory, added up, is no doubt."""
    assert of_health(memory=89, memory_limit=100, rss=120) == []


def test_a_limit_that_was_met_is_one_doubt():
    """Connections that failed say more than that the limit is near."""
    (doubt,) = of_health(fds=100, fd_limit=100, no_descriptor=7)
    assert doubt.figure == "7"
    (doubt,) = of_health(memory=99, memory_limit=100, no_buffer=7)
    assert doubt.figure == "99 B of 100 B"


@pytest.mark.parametrize(("late", "doubted"), [(0.25, False), (0.6, False), (0.61, True)])
def test_a_late_start_matters_from_a_hundredth_of_the_run_on(late, doubted):
    """Of 60 s 0.6 s may be missing, and of the shortest run 0.25 s."""
    assert bool(of_health(began_late=late)) is doubted
    short = plan(open_model(10, 1.0)).model_copy(update={"duration": 1.0})
    whole = iterations(measured(1.0, a=[1]), completed=10)
    assert reasons(doubts_of(short, [snapshot(whole, elapsed=1.0, began_late=late)])) == [DoubtReason.LateStart] * (
        late > 0.25
    )


@pytest.mark.parametrize("health", [{"rss": 10**9}, {"fds": 10**6}])
def test_without_a_limit_nothing_comes_close_to_it(health):
    """An unknown limit (0) is no limit."""
    assert of_health(**health) == []


@pytest.mark.parametrize(("p95_ms", "doubted"), [(100, True), (999, True), (1010, False), (4000, False)])
def test_a_delay_of_ours_matters_by_what_it_is_added_to(p95_ms, doubted):
    """A lag of 100 ms is a doubt while it is a tenth of the p95 or more."""
    assert bool(of_health(p95_ms, lag_p99=0.1)) is doubted
    assert bool(of_health(p95_ms, slip_p99=0.1)) is doubted


def test_delays_matter_by_the_p95_of_all_requests():
    """The lag is held against the 95th percentile, not against the median or the slowest request."""
    measurement = measured(60.0, a=[100] * 90 + [2000] * 9 + [60_000])
    assert doubts_of(plan(closed_model()), [snapshot(measurement, lag_p99=0.15)]) == []
    assert doubts_of(plan(closed_model()), [snapshot(measurement, lag_p99=0.25)]) != []


def test_without_requests_delays_stand_on_their_own():
    """Where nothing was measured, a lag beyond its level is a doubt all the same."""
    found = doubts_of(plan(closed_model()), [snapshot(lag_p99=0.05)])
    assert reasons(found) == [DoubtReason.LoopLag]


def test_each_runner_speaks_for_itself():
    """Two runners at their limits are two doubts, told apart by their index."""
    found = doubts_of(plan(closed_model(), runners=2), [snapshot(runner=n, cpu_ratio=0.95) for n in (0, 1)])
    assert [doubt.message.split("'")[0].split(" used")[0] for doubt in found] == ["runner 0", "runner 1"]


@pytest.mark.parametrize(("dropped", "doubted"), [(0, False), (10, False), (11, True), (5000, True)])
def test_more_than_one_dropped_iteration_in_a_thousand_is_a_doubt(dropped, doubted):
    """Of ten thousand iterations that were due, ten may be missing."""
    measurement = iterations(measured(60.0, a=[1]), completed=10_000 - dropped, dropped=dropped)
    found = doubts_of(plan(closed_model()), [snapshot(measurement)])
    assert reasons(found) == [DoubtReason.DroppedIterations] * doubted
    if doubted:
        assert found[0].flattering
        assert found[0].message.startswith(f"scenario main: {dropped} of 10000 iterations")
        assert "maxVUs" in found[0].message


def test_dropped_iterations_are_a_share_of_those_due():
    """The figure is dropped of begun and dropped together, whichever way the begun ones ended."""
    measurement = iterations(measured(60.0, a=[1]), completed=80, interrupted=10, dropped=10)
    (doubt,) = doubts_of(plan(closed_model()), [snapshot(measurement)])
    assert doubt.figure == "10%"


def test_scenarios_are_told_apart():
    """A scenario's dropped iterations aren't watered down by another's."""
    measurement = iterations(measured(60.0, a=[1]), "busy", completed=100_000)
    iterations(measurement, "small", completed=90, dropped=10)
    found = doubts_of(plan(closed_model("busy"), closed_model("small")), [snapshot(measurement)])
    assert [doubt.message.split(":")[0] for doubt in found] == ["scenario small"]


@pytest.mark.parametrize(("failed", "doubted"), [(1, False), (2, True)])
def test_a_journeys_own_errors_are_a_doubt(failed, doubted):
    """More than one iteration in a thousand that a script's own error ended leaves too much unmeasured."""
    measurement = iterations(measured(60.0, a=[1]), completed=1000 - failed, failed=failed)
    found = doubts_of(plan(closed_model()), [snapshot(measurement)])
    assert reasons(found) == [DoubtReason.ScriptFailed] * doubted
    if doubted:
        assert found[0].flattering
        assert found[0].figure == "0.2%"
        assert "2 of 1000 iterations" in found[0].message


@pytest.mark.parametrize(("begun", "doubted"), [(600, False), (594, False), (593, True), (0, True)])
def test_a_rate_that_was_not_reached_is_a_doubt(begun, doubted):
    """Of the iterations that an arrival rate asks for, all but one in a hundred must have begun."""
    measurement = iterations(measured(60.0, a=[1]), completed=begun)
    found = doubts_of(plan(open_model(10, 60.0)), [snapshot(measurement)])
    assert reasons(found) == [DoubtReason.RateNotReached] * doubted
    assert doubts_of(plan(open_model(10, 60.0)), [snapshot(measurement)], cut=True) == []
    if doubted:
        assert found[0].flattering
        assert f"{begun} of 600 iterations" in found[0].message


def test_dropped_iterations_count_as_asked_for():
    """What was dropped is known, so it is no second doubt about the rate."""
    measurement = iterations(measured(60.0, a=[1]), completed=300, dropped=300)
    found = doubts_of(plan(open_model(10, 60.0)), [snapshot(measurement)])
    assert reasons(found) == [DoubtReason.DroppedIterations]


@pytest.mark.parametrize(
    ("start", "warmup", "elapsed", "asked"),
    [
        (0, 0, 60, 600),
        (0, 0, 90, 600),
        (0, 0, 30, 300),
        (0, 20, 60, 400),
        (10, 20, 60, 400),
        (30, 20, 60, 300),
        (0, 60, 60, 0),
    ],
)
def test_what_was_asked_for_is_counted_after_the_warm_up_and_up_to_the_end(start, warmup, elapsed, asked):
    """Only arrivals due in the judged time can be missing from it."""
    scenario = open_model(10, 60.0, start=start)
    exact = iterations(measured(60.0, a=[1]), completed=asked)
    assert doubts_of(plan(scenario, warmup=warmup), [snapshot(exact, elapsed=elapsed)]) == []
    if asked:
        fewer = iterations(measured(60.0, a=[1]), completed=round(asked * 0.98))
        (doubt,) = doubts_of(plan(scenario, warmup=warmup), [snapshot(fewer, elapsed=elapsed)])
        assert f" of {asked} iterations" in doubt.message


def test_the_run_lasted_as_long_as_its_longest_runner():
    """Runners are merged, and the run's time is that of the one that went furthest."""
    parts = [iterations(measured(60.0, a=[1]), completed=300) for _ in range(2)]
    snapshots = [snapshot(parts[0], elapsed=30.0), snapshot(parts[1], runner=1, elapsed=60.0)]
    assert doubts_of(plan(open_model(10, 60.0), runners=2), snapshots) == []


def test_lost_and_silent_runners_are_doubts():
    """Runners whose results never came are named, and counted among those planned."""
    found = doubts_of(plan(closed_model(), runners=3), [snapshot()], lost=["pod-1"], silent=["pod-2"])
    assert [(doubt.reason, doubt.figure) for doubt in found] == [
        (DoubtReason.RunnerLost, "1 of 3"),
        (DoubtReason.RunnerSilent, "1 of 3"),
    ]
    assert found[0].message.startswith("pod-1 was lost")
    assert found[1].message.startswith("pod-2 stopped answering")
    assert not any(doubt.flattering for doubt in found)


def test_a_long_list_of_runners_is_cut():
    """Forty lost runners are one doubt with five names."""
    names = [f"pod-{n}" for n in range(40)]
    (doubt,) = doubts_of(plan(closed_model(), runners=40), [], lost=names)
    assert doubt.message.startswith("pod-0, pod-1, pod-2, pod-3, pod-4 and 35 more were lost")
    (six,) = doubts_of(plan(closed_model(), runners=40), [], lost=names[:6])
    assert six.message.startswith("pod-0, pod-1, pod-2, pod-3, pod-4 and 1 more were lost")
    (five,) = doubts_of(plan(closed_model(), runners=40), [], lost=names[:5])
    assert five.message.startswith("pod-0, pod-1, pod-2, pod-3, pod-4 were lost")


def test_an_unfinished_share_is_a_doubt_unless_the_run_was_cut():
    """A runner that didn't do its whole share is news only where nobody told it to stop."""
    snapshots = [snapshot(), snapshot(runner=1, complete=False)]
    (doubt,) = doubts_of(plan(closed_model(), runners=2), snapshots)
    assert (doubt.reason, doubt.figure, doubt.flattering) == (DoubtReason.Interrupted, "1 of 2 runners", True)
    assert doubt.message.startswith("runner 1 ended before")
    assert doubts_of(plan(closed_model(), runners=2), snapshots, cut=True) == []


@pytest.mark.parametrize(
    ("make", "doubt"),
    [
        (
            lambda: deadline_exceeded(90, 91, 600),
            Doubt(
                DoubtReason.DeadlineExceeded,
                "the deadline of 1m30s cut the run off 1m31s into the planned 10m; raise spec.deadline or shorten the scenarios",
                "1m31s of 10m",
                True,
            ),
        ),
        (
            lambda: interrupted(12, 60),
            Doubt(
                DoubtReason.Interrupted,
                "the run was stopped by hand after 12s of 1m; run it again to have all of it",
                "12s of 1m",
                True,
            ),
        ),
        (
            lambda: interrupted(0, 60),
            Doubt(DoubtReason.Interrupted, "the run was stopped by hand before its load began", "no load", True),
        ),
        (
            lambda: setup_failed("POST /login: 500"),
            Doubt(DoubtReason.SetupFailed, "the setup failed, so no load was made: POST /login: 500", "setup"),
        ),
        (
            lambda: start_deadline_exceeded(300, "no node fits"),
            Doubt(
                DoubtReason.StartDeadlineExceeded,
                "the runners weren't ready within spec.startDeadline: no node fits",
                "5m",
            ),
        ),
    ],
)
def test_what_only_the_operator_knows_is_said_too(make, doubt):
    """Deadlines, interruptions and a failed setup become doubts with their figure."""
    assert make() == doubt


def test_a_run_of_half_a_second_was_no_run_before_its_load():
    """However short, load that was made is counted."""
    assert interrupted(0.5, 60).figure == "500ms of 1m"


def test_every_message_says_what_happened_and_what_to_change():
    """The words that a person reads, as they are."""
    measurement = iterations(measured(60.0, a=[100]), completed=400, failed=100, dropped=50)
    health = {
        "cpu_ratio": 0.97,
        "throttled_ratio": 0.31,
        "lag_p99": 0.08,
        "slip_p99": 0.09,
        "began_late": 1.5,
        "rss": 95,
        "memory_limit": 100,
        "fds": 95,
        "fd_limit": 100,
        "no_port": 4,
        "data_exhausted": 3,
        "labels_dropped": 4,
    }
    last = snapshot(measurement, complete=False, **health)
    found = doubts_of(plan(open_model(10, 60.0), runners=4), [last], lost=["runner 1"], silent=["runner 2", "runner 3"])
    assert {str(doubt.reason): doubt.message for doubt in found} == {
        "RunnerLost": "runner 1 was lost before handing over results; see the pod's events (eviction, memory, a node that "
        "went away) and run again",
        "RunnerSilent": "runner 2, runner 3 stopped answering and the last results never came; look at the pod's log, and "
        "whether a network policy or a service mesh stands between the operator and port 9119",
        "Interrupted": "runner 0 ended before doing the whole share of the plan: it was stopped, or iterations were left "
        "when maxDuration was over; raise maxDuration, or ask for fewer iterations",
        "DroppedIterations": "scenario main: 50 of 550 iterations had no free VU and were dropped; raise maxVUs, or lower "
        "the rate to what the target can answer",
        "RateNotReached": "scenario main: 550 of 600 iterations that were asked for began; give the runners more CPU or "
        "add runners (spec.runners.count)",
        "LateStart": "runner 0 began 1.5s late because it was held up, and its load until then is missing; give the runners "
        "CPU of their own (spec.runners.resources) and run it again",
        "ScriptFailed": "scenario main: 100 of 500 iterations ended by an error of the journey itself, so what came after "
        "it was not measured; the runner's log has the traceback",
        "LoopLag": "runner 0's event loop lagged by 80ms (p99), which is in the times it measured; give it more CPU "
        "(spec.runners.resources) or add runners (spec.runners.count)",
        "ScheduleSlip": "runner 0 began iterations 90ms late (p99) because it was busy; give it more CPU "
        "(spec.runners.resources) or add runners (spec.runners.count)",
        "CPULimit": "runner 0 used 97% of its CPU (1 core) and was throttled 31% of the time; raise "
        "spec.runners.resources.limits.cpu or spec.runners.count",
        "MemoryLimit": "runner 0 came close to its memory limit; raise spec.runners.resources.limits.memory or "
        "spec.runners.count",
        "FileDescriptors": "runner 0 came close to its limit of open files; raise the limit (ulimit -n) or "
        "spec.runners.count",
        "SourcePorts": "runner 0 found no free port of its own for 4 connections, which failed; raise spec.runners.count, "
        "keep connections (target.connection.reuse: always), or widen net.ipv4.ip_local_port_range of the pods",
        "DataExhausted": "runner 0 ran out of unique data rows, which ended 3 of its VUs early; add rows, or use order: "
        "sequential",
        "LabelsOverflow": 'runner 0 met more names and tags than it keeps apart, and put 4 of them together as "other"; '
        "name requests (request.name) and keep ids out of names and tags",
    }
    assert {str(doubt.reason): doubt.figure for doubt in found} == {
        "RunnerLost": "1 of 4",
        "RunnerSilent": "2 of 4",
        "Interrupted": "1 of 1 runners",
        "DroppedIterations": "9.09%",
        "RateNotReached": "91.67%",
        "ScriptFailed": "20%",
        "LateStart": "1.5s",
        "LoopLag": "80ms",
        "ScheduleSlip": "90ms",
        "CPULimit": "97%",
        "MemoryLimit": "95 B of 100 B",
        "FileDescriptors": "95 of 100",
        "SourcePorts": "4",
        "DataExhausted": "3",
        "LabelsOverflow": "4",
    }
    assert "(2.5 cores)" in of_health(cpu_ratio=0.97, cores=2.5)[0].message


def test_a_denied_connection_is_a_doubt_that_explains_the_rest():
    """It says where load was led and what to change, once for all runners, and what is missing after it is no news."""
    first = {"denied": 2, "first_denied": "load may not go to evil.example (192.0.2.1); it may go to 10.0.0.0/8"}
    snapshots = [snapshot(complete=False, **first), snapshot(complete=False, denied=1), snapshot(complete=False)]
    (doubt,) = doubts_of(plan(open_model(10, 60.0), runners=3), snapshots)
    assert (doubt.reason, doubt.figure, doubt.flattering) == (
        DoubtReason.ConnectionDenied,
        "3 connections denied",
        False,
    )
    assert doubt.message == (
        "load may not go to evil.example (192.0.2.1); it may go to 10.0.0.0/8; the run ended there. Have the platform's "
        "allowedTargets list it, or keep the test away from it (maxRedirects: 0 takes a redirect as the answer)"
    )


def test_without_any_snapshot_only_the_absence_is_doubted():
    """Where no runner answered, nothing is said of the rate: how long the load lasted isn't known."""
    found = doubts_of(plan(open_model(10, 60.0), runners=1), [], lost=["pod-0"])
    assert reasons(found) == [DoubtReason.RunnerLost]


def test_a_doubt_survives_its_document():
    """What is stored of a doubt is read back equal."""
    doubt = Doubt(DoubtReason.LoopLag, "why", "80ms", True)
    assert Doubt.from_json(doubt.to_json()) == doubt
    assert doubt.to_json()["reason"] == "LoopLag"
