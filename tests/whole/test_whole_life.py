"""A test's life: it is suspended, run again, judged again, interrupted, killed, and waits for what isn't there yet."""

import asyncio
import contextlib
import json
import os
import signal
import sys

import psutil
import pytest
import whole_kit as kit

from loadgate_operator.embedded import Embedded, is_settled

pytestmark = pytest.mark.processes


def endless(**fields):
    """Load that goes on until something stops it."""
    return kit.scenario("constant-vus", duration="10m", steps=[kit.get("/"), {"think": "20ms"}], **fields)


def runner_processes():
    """The runners that are children of this process, by index."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "loadgate_runner" in process.cmdline() and "LOADGATE_INDEX" in process.environ():
                found.setdefault(int(process.environ()["LOADGATE_INDEX"]), process)
    return found


async def test_a_killed_runner_makes_the_run_inconclusive():
    """SIGKILL of one runner of two: the others' figures stay, and the verdict says that one was lost."""
    async with kit.serving() as target, Embedded() as operator:
        load = kit.scenario("constant-vus", duration="4s", steps=[kit.get("/"), {"think": "20ms"}])
        await operator.apply([kit.load_test(target, load, runners=2, thresholds={"http_req_failed": ["rate<0.1"]})])
        await kit.until_phase(operator, "Running")
        await kit.until(lambda: len(target.seen) > 20)
        runner_processes()[1].send_signal(signal.SIGKILL)
        status = await kit.verdict(operator)
    assert status["phase"] == "Inconclusive"
    assert "RunnerLost" in kit.doubts(status)
    assert status["runners"]["lost"] == 1
    assert status["summary"]["requests"] > 0


async def test_a_killed_operator_leaves_no_process(tmp_path):
    """SIGKILL of the operator's process: every runner, and every process of a runner, is gone."""
    code = (
        "import asyncio, json, sys\n"
        "from loadgate_operator.cluster.port import Key\n"
        "from loadgate_operator.embedded import Embedded\n"
        "async def main():\n"
        "    async with Embedded() as operator:\n"
        "        await operator.apply([json.loads(sys.argv[1])])\n"
        "        await operator.wait(Key('LoadTest', 'default', 'whole'))\n"
        "asyncio.run(main())\n"
    )
    async with kit.serving() as target:
        test = json.dumps(kit.load_test(target, endless(vus=4), runners=2, processes=2))
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        operator = await asyncio.create_subprocess_exec(sys.executable, "-c", code, test, env=environment)
        try:
            await kit.until(lambda: len(target.seen) > 20)
            children = psutil.Process(operator.pid).children(recursive=True)
            assert len(children) == 6
        finally:
            operator.kill()
            await operator.wait()
        await kit.until(lambda: not any(child.is_running() for child in children))
        # A new operator with the same temporary folder clears what the killed one left.
        with temporary_folders_in(tmp_path):
            async with Embedded():
                assert len([path for path in tmp_path.iterdir() if path.name.startswith("loadgate")]) == 1
        assert [path for path in tmp_path.iterdir() if path.name.startswith("loadgate")] == []


@contextlib.contextmanager
def temporary_folders_in(path):
    """Have temporary folders made here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(path))
        yield


async def test_interrupting_keeps_what_was_measured():
    """Ctrl-C: runners hand over what they have, and the verdict says that the run was cut off."""
    async with kit.serving() as target, Embedded() as operator:
        await operator.apply(
            [kit.load_test(target, endless(), runners=2, thresholds={"http_req_failed": ["rate<0.1"]})]
        )
        await kit.until(lambda: len(target.seen) > 20)
        async with asyncio.timeout(kit.LIMIT):
            await operator.stop()
        status, result = operator.status(*kit.KEY), await operator.result(kit.KEY)
        assert len(target.seen) == result.measurement.request_counts()[0]
        assert runner_processes() == {} or operator.objects("Pod")
    assert status["phase"] == "Inconclusive"
    assert kit.doubts(status)[0] == "Interrupted"
    assert runner_processes() == {}


async def test_suspending_calls_the_run_off():
    """spec.suspend in mid-run: Aborted; resumed, another run."""
    async with kit.serving() as target, Embedded() as operator:
        await operator.apply([kit.load_test(target, endless())])
        await kit.until(lambda: len(target.seen) > 5)
        status = await kit.run(operator, kit.load_test(target, endless(), suspend=True))
        assert status["phase"] == "Aborted"
        status = await kit.run(operator, kit.load_test(target, kit.scenario(iterations=10)))
    assert status["phase"] == "Passed"
    assert status["run"]["number"] == 2


async def test_a_new_spec_stops_the_run_and_starts_another():
    """Changing the load in mid-run: the old run ends before the new one begins."""
    async with kit.serving() as target, Embedded() as operator:
        await operator.apply([kit.load_test(target, endless())])
        await kit.until(lambda: len(target.seen) > 5)
        status = await kit.run(operator, kit.load_test(target, kit.scenario(iterations=10, steps=[kit.get("/new")])))
    assert status["phase"] == "Passed", status
    assert status["run"]["number"] == 2
    assert target.count("/new") == 10
    paths = [one.path for one in target.seen]
    assert "/" not in paths[paths.index("/new") :]


async def test_a_rerun_is_another_run_and_history_is_kept():
    """A new value of the rerun annotation makes the load again; results are kept up to the limit."""
    async with kit.serving() as target, Embedded() as operator:
        for number in range(4):
            test = kit.load_test(
                target, kit.scenario(iterations=5), historyLimit=2, annotations={"loadgate.dev/rerun": str(number)}
            )
            await operator.apply([test])
            async with asyncio.timeout(kit.LIMIT):
                async for _ in operator.changes():
                    status = operator.status(*kit.KEY)
                    if (status.get("run") or {}).get("number") == number + 1 and is_settled(operator.read(*kit.KEY)):
                        break
        assert [entry["number"] for entry in status["history"]] == [3, 2]
        assert len(target.seen) == 20
        assert status["phase"] == "Passed"


async def test_new_limits_judge_again_without_load():
    """Only thresholds changed: the stored result is judged again, and the target sees nothing of it."""
    async with kit.serving() as target, Embedded() as operator:
        steps = kit.scenario(iterations=10, steps=[kit.get("/?ms=30")])
        first = await kit.run(operator, kit.load_test(target, steps, thresholds={"http_req_duration": ["p(95)<5000"]}))
        before = len(target.seen)
        second = await kit.run(operator, kit.load_test(target, steps, thresholds={"http_req_duration": ["p(95)<10"]}))
        assert len(target.seen) == before == 10
    assert (first["phase"], second["phase"]) == ("Passed", "Failed")
    assert first["run"]["id"] == second["run"]["id"]


async def test_a_missing_config_map_is_waited_for():
    """The status names what is missing; when it appears the run goes on by itself."""
    script = {"configMapKeyRef": {"name": "journeys", "key": "main.py"}}
    journey = "async def journey(user):\n    await user.get('/from-python')\n"
    async with kit.serving() as target, Embedded() as operator:
        await operator.apply([kit.load_test(target, kit.scenario(iterations=5, script=script))])
        async with asyncio.timeout(kit.LIMIT):
            async for progress in operator.follow(kit.KEY, every=0.1):
                if "journeys/main.py" in json.dumps(progress.status.get("conditions")):
                    break
        assert len(target.seen) == 0
        status = await kit.run(operator, kit.config_map("journeys", main_py=journey))
    assert status["phase"] == "Passed", status
    assert target.paths() == {"/from-python": 5}


async def test_what_is_missing_for_too_long_ends_the_run():
    """After startDeadline the run is Inconclusive, and nothing was sent."""
    script = {"configMapKeyRef": {"name": "journeys", "key": "main.py"}}
    async with kit.serving() as target, Embedded() as operator:
        status = await kit.run(operator, kit.load_test(target, kit.scenario(script=script), startDeadline="1s"))
    assert status["phase"] == "Inconclusive"
    assert "StartDeadlineExceeded" in kit.doubts(status)
    assert target.seen == []


async def test_a_script_that_does_not_compile_says_so():
    """A Python journey with a mistake ends the run before any load, with the mistake in the message."""
    script = {"configMapKeyRef": {"name": "journeys", "key": "main.py"}}
    async with kit.serving() as target, Embedded() as operator:
        bad = kit.config_map("journeys", main_py="async def journey(user:\n")
        status = await kit.run(operator, bad, kit.load_test(target, kit.scenario(script=script)))
    assert status["phase"] == "Inconclusive"
    assert "SyntaxError" in json.dumps(status["conditions"])
    assert target.seen == []


async def test_an_inconclusive_run_is_tried_again():
    """With onInconclusive a run that lost a runner is repeated, and the verdict is that of the attempt that held."""
    async with kit.serving() as target, Embedded() as operator:
        load = kit.scenario("constant-vus", duration="2s", steps=[kit.get("/"), {"think": "20ms"}])
        await operator.apply([kit.load_test(target, load, onInconclusive={"retries": 1})])
        await kit.until(lambda: len(target.seen) > 5)
        runner_processes()[0].kill()
        status = await kit.verdict(operator)
    assert status["phase"] == "Passed", status
    assert status["run"]["attempt"] == 2
    assert status["run"]["cause"] == "Retry"


async def test_deleting_a_test_in_mid_run_ends_its_load():
    """With the LoadTest its pods go, and the target hears no more of it."""
    async with kit.serving() as target, Embedded() as operator:
        await operator.apply([kit.load_test(target, endless(), runners=2)])
        await kit.until(lambda: len(target.seen) > 20)
        processes = runner_processes()
        assert set(processes) == {0, 1}
        await operator.delete(*kit.KEY)
        await kit.until(lambda: not any(one.is_running() for one in processes.values()))
        await kit.until(lambda: not operator.objects("Pod"))
        seen = len(target.seen)
        await asyncio.sleep(0.2)
        assert len(target.seen) == seen
        assert [operator.objects(kind) for kind in ("Job", "ConfigMap", "Secret")] == [[], [], []]


async def test_a_job_that_someone_deletes_ends_the_run():
    """The Job of a run under way is deleted: the run is Inconclusive, and no load goes on."""
    async with kit.serving() as target, Embedded() as operator:
        await operator.apply([kit.load_test(target, endless())])
        await kit.until(lambda: len(target.seen) > 5)
        (job,) = operator.objects("Job")
        await operator.delete("Job", "default", job["metadata"]["name"])
        status = await kit.verdict(operator)
        assert runner_processes() == {}
    assert status["phase"] == "Inconclusive"
    assert "RunnerLost" in kit.doubts(status)


async def test_several_tests_run_side_by_side():
    """Tests of other names don't wait for each other, and each has its own figures."""
    async with kit.serving() as target, Embedded() as operator:
        tests = []
        for number in range(3):
            test = kit.load_test(target, kit.scenario(iterations=10 + number, steps=[kit.get(f"/{number}")]))
            test["metadata"]["name"] = f"test-{number}"
            tests.append(test)
        await operator.apply(tests)
        keys = [kit.KEY._replace(name=test["metadata"]["name"]) for test in tests]
        statuses = await asyncio.gather(*(kit.verdict(operator, key) for key in keys))
    assert [status["phase"] for status in statuses] == ["Passed"] * 3
    assert [status["summary"]["requests"] for status in statuses] == [10, 11, 12]
    assert target.paths() == {"/0": 10, "/1": 11, "/2": 12}


async def test_a_runner_that_is_told_to_end_is_no_whole_one():
    """SIGTERM of one runner of two, as an eviction sends it: what it measured counts, and the run doesn't pass."""
    async with kit.serving() as target, Embedded() as operator:
        load = kit.scenario("constant-vus", duration="5s", steps=[kit.get("/"), {"think": "20ms"}])
        await operator.apply([kit.load_test(target, load, runners=2, thresholds={"http_req_failed": ["rate<0.1"]})])
        await kit.until(lambda: len(target.seen) > 20)
        runner_processes()[1].terminate()
        status = await kit.verdict(operator)
        result = await operator.result(kit.KEY)
    assert status["phase"] == "Inconclusive", status
    assert result.measurement.request_counts()[0] == len(target.seen)
