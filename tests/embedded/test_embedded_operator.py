"""The whole operator over its own cluster, with runners that only claim to make load."""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from loadgate_operator.cluster.port import Key, Kind, RefusedError
from loadgate_operator.embedded import Embedded, EmbeddedError, Options, is_settled

pytestmark = pytest.mark.processes

KEY = Key(Kind.LOAD_TEST, "default", "checkout")
FAKE = Path(__file__).with_name("fake_runner.py")
LIMIT = 30.0  # seconds that any of these may take at most


def load_test(count=2, annotations=None, **spec):
    scenario = {
        "name": "s",
        "executor": "shared-iterations",
        "vus": 2,
        "iterations": 100 * count,
        "maxDuration": "10s",
        "gracefulStop": "1s",
        "steps": [{"request": {"url": "/"}}],
    }
    return {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {
            "name": KEY.name,
            "namespace": KEY.namespace,
            "labels": {"app": "shop"},
            "annotations": annotations or {},
        },
        "spec": {
            "target": {"url": "http://127.0.0.1:1"},
            "runners": {"count": count},
            "scenarios": [scenario],
            "thresholds": {"http_req_duration": ["p(95)<500"]},
            **spec,
        },
    }


@pytest.fixture
def notes(tmp_path):
    """Where fake runners write down what happens to them."""
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def embedded(notes, **behaviour):
    environment = {"FAKE_NOTES": str(notes), "FAKE_RUNNER": json.dumps(behaviour)}
    return Embedded(Options(programs={"loadgate-runner": (sys.executable, str(FAKE))}, environment=environment))


def said(notes):
    """All that happened to runners, by index."""
    return {path.name.removeprefix("runner-"): path.read_text().split("\n")[:-1] for path in sorted(notes.iterdir())}


def pids(notes):
    return [
        int(line.removeprefix("pid ")) for lines in said(notes).values() for line in lines if line.startswith("pid ")
    ]


def conditions(status):
    return {one["type"]: one["status"] for one in status["conditions"]}


async def phase(operator, *wanted):
    """The first status of one of these phases."""
    async with asyncio.timeout(LIMIT):
        async for key in operator.changes():
            status = operator.status(*KEY)
            if key == KEY and status.get("phase") in wanted:
                return status
    raise AssertionError("changes never end")


def interrupted(status):
    """Whether a run was stopped by hand, and nothing else went wrong with it."""
    return status["phase"] == "Inconclusive" and status["doubts"][0]["reason"] == "Interrupted"


async def verdict(operator):
    async with asyncio.timeout(LIMIT):
        return await operator.wait(KEY)


async def test_a_manifest_becomes_a_verdict(notes):
    """Applied objects end as a status with its conditions, a result that sums over runners, and no process."""
    async with embedded(notes, requests=100) as operator:
        await operator.apply([load_test()])
        status = await verdict(operator)
        assert status["phase"] == "Passed"
        assert conditions(status) == {"Complete": "True", "Passed": "True", "Ready": "True"}
        assert status["summary"]["requests"] == 200
        result = await operator.result(KEY)
        assert result.verdict.outcome == "Passed"
        assert result.measurement.request_counts() == (200, 0)
    assert not any(psutil.pid_exists(pid) for pid in pids(notes))


async def test_each_runner_is_started_once(notes):
    """Every runner arms, runs and finishes, in this order and once."""
    async with embedded(notes) as operator:
        await operator.apply([load_test(count=3)])
        await verdict(operator)
    for lines in said(notes).values():
        assert [line for line in lines if not line.startswith("pid")] == ["Armed", "start {}", "Running", "Finished"]


async def test_setup_and_teardown_are_done_once_for_all(notes):
    """One runner does both blocks; what setup extracted reaches every runner and no stored object."""
    block = {"steps": [{"request": {"url": "/"}}]}
    async with embedded(notes, setup={"token": "very-secret"}) as operator:
        await operator.apply([load_test(count=3, setup=block, teardown=block)])
        assert (await verdict(operator))["phase"] == "Passed"
        kept = [operator.objects(kind) for kind in Kind]
    lines = [line for one in said(notes).values() for line in one]
    assert lines.count("setup") == 1
    assert lines.count("teardown") == 1
    assert lines.count('start {"token": "very-secret"}') == 3
    assert "very-secret" not in json.dumps(kept)


async def test_progress_tells_what_runs(notes):
    """Following a test shows its phases in order, and live figures while it runs."""
    async with embedded(notes, seconds=3.0) as operator:
        await operator.apply([load_test()])
        async with asyncio.timeout(LIMIT):
            seen = [progress async for progress in operator.follow(KEY, every=0.2)]
    phases = list(dict.fromkeys(progress.phase for progress in seen))
    assert phases == [p for p in ("Pending", "Starting", "Running", "Judging", "Passed") if p in phases]
    live = [progress for progress in seen if progress.phase == "Running" and progress.requests]
    assert live
    assert max(progress.vus for progress in live) == 2
    assert max(progress.requests_per_second for progress in live) > 0
    assert seen[-1].requests == 200
    assert seen[-1].p95 == pytest.approx(0.005, rel=0.01)
    assert seen[-1].failed_rate == 0.0


@pytest.mark.parametrize(
    ("behaviour", "phase", "reason"),
    [
        ({"milliseconds": 900}, "Failed", None),
        ({"exit_when": "Running", "index": 1, "seconds": 1.0}, "Inconclusive", "RunnerLost"),
        ({"exit_when": "Running", "exit": 137, "seconds": 1.0}, "Inconclusive", "RunnerLost"),
        ({"requests": 0}, "Inconclusive", "NoSamples"),
    ],
)
async def test_a_run_that_did_not_go_well_does_not_pass(notes, behaviour, phase, reason):
    """A broken limit is Failed; a lost runner or nothing measured is Inconclusive, and says so."""
    async with embedded(notes, **behaviour) as operator:
        await operator.apply([load_test()])
        status = await verdict(operator)
    assert status["phase"] == phase
    assert conditions(status)["Passed"] == "False"
    assert conditions(status)["Stalled"] == "True"
    if reason:
        assert reason in [doubt["reason"] for doubt in status["doubts"]]


async def test_a_runner_that_cannot_arm_is_named_with_its_last_words(notes):
    """A plan that no runner takes ends the run as Inconclusive, with what the runner said."""
    words = "import sys; sys.stderr.write('no such thing as this plan\\n'); sys.exit(2)"
    options = Options(programs={"loadgate-runner": (sys.executable, "-c", words)})
    async with Embedded(options) as operator:
        await operator.apply([load_test()])
        status = await verdict(operator)
    assert status["phase"] == "Inconclusive"
    assert "no such thing as this plan" in json.dumps(status["conditions"])


async def test_an_invalid_spec_starts_nothing(notes):
    """A spec that can't be used is Stalled with its faults, and no Job is made."""
    async with embedded(notes) as operator:
        await operator.apply([load_test(scenarios=[])])
        status = await verdict(operator)
        assert conditions(status)["Stalled"] == "True"
        assert "spec.scenarios" in json.dumps(status["conditions"])
        assert operator.objects(Kind.JOB) == []


async def test_a_suspended_test_starts_nothing(notes):
    """With suspend nothing runs; without it, it does."""
    async with embedded(notes) as operator:
        await operator.apply([load_test(suspend=True)])
        status = await verdict(operator)
        assert status["phase"] == "Pending"
        assert operator.objects(Kind.JOB) == []
        await operator.apply([load_test()])
        assert (await verdict(operator))["phase"] == "Passed"


async def test_suspending_calls_a_run_off(notes):
    """A run under way is stopped and Aborted."""
    async with embedded(notes, seconds=60.0) as operator:
        await operator.apply([load_test()])
        await phase(operator, "Running")
        await operator.apply([load_test(suspend=True)])
        assert (await verdict(operator))["phase"] == "Aborted"


async def test_a_rerun_annotation_runs_again(notes):
    """A new value of the annotation is another run; the first one is history."""
    async with embedded(notes) as operator:
        await operator.apply([load_test()])
        await verdict(operator)
        await operator.apply([load_test(annotations={"loadgate.dev/rerun": "1"})])

        async with asyncio.timeout(LIMIT):
            async for _ in operator.changes():
                status = operator.status(*KEY)
                if status["run"]["number"] == 2 and is_settled(operator.read(*KEY)):
                    break
        assert status["run"]["cause"] == "Rerun"
        assert [entry["number"] for entry in status["history"]] == [1]
    assert [lines.count("Armed") for lines in said(notes).values()] == [2, 2]


async def test_new_limits_judge_the_stored_result_without_load(notes):
    """Only what judges changed: the verdict is another, the run is the same, and no runner ran again."""
    async with embedded(notes, milliseconds=50) as operator:
        await operator.apply([load_test()])
        first = await verdict(operator)
        await operator.apply([load_test(thresholds={"http_req_duration": ["p(95)<10"]})])
        second = await verdict(operator)
        assert (first["phase"], second["phase"]) == ("Passed", "Failed")
        assert second["run"]["id"] == first["run"]["id"]
        assert second["violations"][0]["actual"] == "50ms"
    assert [lines.count("Armed") for lines in said(notes).values()] == [1, 1]


async def test_a_budget_judges_tests_by_label(notes):
    """A budget whose selector matches judges the test, and judges its stored result again when it changes."""
    budget = {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "PerformanceBudget",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "shop"}}, "responseTime": {"*": {"p95": "10ms"}}},
    }
    async with embedded(notes, milliseconds=50) as operator:
        await operator.apply([load_test(), budget])
        status = await verdict(operator)
        assert status["phase"] == "Failed"
        assert status["violations"][0]["source"] == "budget/shop"
        budget["spec"]["responseTime"] = {"*": {"p95": "100ms"}}
        await operator.apply([budget])
        await phase(operator, "Passed")
    assert [lines.count("Armed") for lines in said(notes).values()] == [1, 1]


async def test_a_missing_secret_holds_the_run_up_until_it_is_there(notes):
    """What is missing is named while it is, and the run goes on when it appears."""
    secrets = {"password": {"secretKeyRef": {"name": "user", "key": "pw"}}}
    async with embedded(notes) as operator:
        await operator.apply([load_test(secrets=secrets)])

        async with asyncio.timeout(LIMIT):
            async for progress in operator.follow(KEY, every=0.1):
                if "user/pw" in json.dumps(progress.status.get("conditions")):
                    break
        await operator.apply(
            [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "user"}, "stringData": {"pw": "x"}}]
        )
        assert (await verdict(operator))["phase"] == "Passed"


async def test_stopping_keeps_what_was_measured(notes):
    """Ctrl-C: the result has what was measured so far, and the verdict says that it was cut off."""
    async with embedded(notes, seconds=60.0) as operator:
        await operator.apply([load_test()])
        await phase(operator, "Running")
        async with asyncio.timeout(LIMIT):
            await operator.stop(graceful=True)
        assert interrupted(operator.status(*KEY))
        result = await operator.result(KEY)
        assert result.verdict.outcome == "Inconclusive"
        assert result.measurement.request_counts()[0] > 0
    assert not any(psutil.pid_exists(pid) for pid in pids(notes))


async def test_stopping_at_once_is_quick(notes):
    """Ctrl-C twice: no runner is waited for."""
    async with embedded(notes, seconds=60.0) as operator:
        await operator.apply([load_test()])
        await phase(operator, "Running")
        async with asyncio.timeout(LIMIT):
            await operator.stop(graceful=False)
        assert interrupted(operator.status(*KEY))


async def test_stopping_before_the_load_is_fine(notes):
    """A test that was only just applied is called off too."""
    async with embedded(notes, seconds=60.0) as operator:
        await operator.apply([load_test()])
        async with asyncio.timeout(LIMIT):
            await operator.stop()
        assert is_settled(operator.read(*KEY))


async def test_deleting_a_test_ends_its_run(notes):
    """With the LoadTest go its Job, its pods and their processes, its plan and its token."""
    async with embedded(notes, seconds=60.0) as operator:
        await operator.apply([load_test()])
        await phase(operator, "Running")
        await operator.delete(*KEY)
        async with asyncio.timeout(LIMIT):
            async for _ in operator.changes():
                if not any(operator.objects(kind) for kind in (Kind.JOB, Kind.POD, Kind.CONFIG_MAP, Kind.SECRET)):
                    break
        assert not any(psutil.pid_exists(pid) for pid in pids(notes))


async def test_what_no_cluster_takes_is_refused(notes):
    """Objects that an API server would refuse are refused here, at once."""
    async with embedded(notes) as operator:
        with pytest.raises(RefusedError):
            await operator.apply([{"apiVersion": "v1", "kind": "Deployment", "metadata": {"name": "x"}}])


async def test_the_operator_tells_of_itself(notes):
    """`/metrics` has the verdict and the reconciles; `/healthz` answers 200 while they flow."""
    options = Options(
        programs={"loadgate-runner": (sys.executable, str(FAKE))},
        environment={"FAKE_NOTES": str(notes)},
        metrics_address=("127.0.0.1", 0),
    )
    async with Embedded(options) as operator, httpx.AsyncClient() as client:
        await operator.apply([load_test()])
        await verdict(operator)
        async with asyncio.timeout(LIMIT):
            async for _ in operator.follow(KEY, every=0.1):
                text = (await client.get(f"{operator.metrics_url}/metrics")).text
        assert 'loadgate_loadtest_verdict{name="checkout",namespace="default",verdict="Passed"} 1.0' in text
        assert 'loadgate_reconciles_total{kind="LoadTest",result="success"}' in text
        assert 'loadgate_runner_scrapes_total{result="success"}' in text
        assert (await client.get(f"{operator.metrics_url}/healthz")).status_code == 200


async def test_killing_the_operator_leaves_no_runner(notes, tmp_path):
    """SIGKILL of the whole operator: the kernel ends its runners."""
    code = (
        "import asyncio, json, sys\n"
        "from loadgate_operator.cluster.port import Key\n"
        "from loadgate_operator.embedded import Embedded, Options\n"
        "test, environment, program = json.loads(sys.argv[1])\n"
        "async def main():\n"
        "    options = Options(programs={'loadgate-runner': tuple(program)}, environment=environment)\n"
        "    async with Embedded(options) as operator:\n"
        "        await operator.apply([test])\n"
        "        await operator.wait(Key('LoadTest', 'default', 'checkout'))\n"
        "asyncio.run(main())\n"
    )
    environment = {"FAKE_NOTES": str(notes), "FAKE_RUNNER": json.dumps({"seconds": 60})}
    argument = json.dumps([load_test(), environment, [sys.executable, str(FAKE)]])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, argument, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    try:
        async with asyncio.timeout(LIMIT):
            while sum("Running" in lines for lines in said(notes).values()) < 2:  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.05)
            process.kill()
            await process.wait()
            while any(psutil.pid_exists(pid) for pid in pids(notes)):  # noqa: ASYNC110 - nor has a process not ours
                await asyncio.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def test_an_operator_that_broke_down_is_no_endless_wait(notes):
    """Whoever waits for a verdict hears that none will come."""
    async with embedded(notes, seconds=60.0) as operator:
        await operator.apply([load_test()])
        await phase(operator, "Running")
        operator._loops[0].cancel()
        with pytest.raises(EmbeddedError):
            await verdict(operator)
