"""Pods as real child processes."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from loadgate_operator.cluster.local import LocalCluster, LocalOptions
from loadgate_operator.cluster.local.folder import private_folder, remove_stale
from loadgate_operator.cluster.local.pods import cores
from loadgate_operator.cluster.local.process import MOST_LOG, tail_of
from loadgate_operator.cluster.port import Kind
from loadgate_operator.manifests.job import PORT_VARIABLE

pytestmark = pytest.mark.processes

SLEEP = (
    "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(7)); print('up', flush=True); time.sleep(60)"
)
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def job(*, completions=1, env=(), volumes=(), mounts=(), args=(), **spec):
    container = {
        "name": "runner",
        "command": ["loadgate-runner"],
        "args": list(args),
        "env": [{"name": PORT_VARIABLE, "value": "9119"}, *env],
        "ports": [{"name": "metrics", "containerPort": 9119}],
        "volumeMounts": list(mounts),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "namespace": "default"},
        "spec": {
            "completions": completions,
            "parallelism": completions,
            "backoffLimitPerIndex": 0,
            **spec,
            "template": {"spec": {"containers": [container], "volumes": list(volumes)}},
        },
    }


def cluster_of(tmp_path, code, **options):
    program = (sys.executable, "-c", textwrap.dedent(code))
    return LocalCluster(LocalOptions(parent=tmp_path, programs={"loadgate-runner": program}, **options))


async def until(condition, seconds=20):
    """Wait until an async condition gives something true, looking again whenever the loop comes round."""
    async with asyncio.timeout(seconds):
        while not (found := await condition()):  # noqa: ASYNC110 - a process has no event to wait on
            await asyncio.sleep(0.01)
        return found


async def pods(cluster, *phases):
    return [p for p in await cluster.list(Kind.POD, "default") if p["status"]["phase"] in phases]


def state(pod):
    return pod["status"]["containerStatuses"][0]["state"]


async def test_a_job_becomes_processes_and_their_end_its_status(tmp_path):
    """One process an index, each with its own port and index; exit 0 of all completes the Job."""
    env = [
        {
            "name": "INDEX",
            "valueFrom": {
                "fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}
            },
        }
    ]
    code = f"import os; print(os.environ['INDEX'], os.environ['{PORT_VARIABLE}'])"
    async with cluster_of(tmp_path, code) as cluster:
        await cluster.apply(job(completions=3, env=env))

        async def complete():
            job = await cluster.read(Kind.JOB, "default", "j")
            return [c["type"] for c in job.get("status", {}).get("conditions", [])] == ["Complete"]

        await until(complete)
        said = [(await cluster.logs(pod)).split() for pod in await pods(cluster, "Succeeded")]
        assert sorted(index for index, _ in said) == ["0", "1", "2"]
        assert len({port for _, port in said} - {"9119"}) == 3


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(3)", {"exitCode": 3, "reason": "Error"}),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", {"exitCode": 137, "signal": 9, "reason": "Error"}),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", {"exitCode": 139, "signal": 11, "reason": "Error"}),
        ("", {"exitCode": 0, "reason": "Completed"}),
    ],
)
async def test_how_a_process_ended_reads_as_in_kubernetes(tmp_path, code, expected):
    """Exit codes are kept; a signal N is exit code 128 + N."""
    async with cluster_of(tmp_path, code) as cluster:
        await cluster.apply(job())
        (pod,) = await until(lambda: pods(cluster, "Succeeded", "Failed"))
        ended = state(pod)["terminated"]
        assert {key: ended.get(key) for key in expected} == expected


async def test_a_program_that_cannot_start_fails_its_pod(tmp_path):
    """A program that isn't there is the pod's failure, with the reason, and nobody else's."""
    options = LocalOptions(parent=tmp_path, programs={"loadgate-runner": (str(tmp_path / "none"),)})
    async with LocalCluster(options) as cluster:
        await cluster.apply(job())
        (pod,) = await until(lambda: pods(cluster, "Failed"))
        assert state(pod)["terminated"]["reason"] == "StartError"
        assert "none" in state(pod)["terminated"]["message"]


async def test_a_variable_that_no_process_can_have_fails_its_pod(tmp_path):
    """A NUL in a Secret's value is the pod's failure, and nobody else's."""
    env = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "user", "key": "password"}}}]
    async with cluster_of(tmp_path, "") as cluster:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "user"}}
        await cluster.apply({**secret, "stringData": {"password": "a\0b"}})
        await cluster.apply(job(env=env))
        (pod,) = await until(lambda: pods(cluster, "Failed"))
        assert state(pod)["terminated"]["reason"] == "StartError"


async def test_the_last_words_of_a_failed_process_are_in_its_status(tmp_path):
    """With FallbackToLogsOnError the end of the log is the termination message of what failed, not of what didn't."""
    code = "import sys; print('x' * 5000); print('the reason'); sys.exit(int(sys.argv[1]))"
    for exit_code in "13":
        async with cluster_of(tmp_path, code) as cluster:
            wanted = job(args=[exit_code])
            wanted["spec"]["template"]["spec"]["containers"][0]["terminationMessagePolicy"] = "FallbackToLogsOnError"
            await cluster.apply(wanted)
            (pod,) = await until(lambda: pods(cluster, "Failed"))
            words = state(pod)["terminated"]["message"]
            assert words.endswith("the reason")
            assert len(words) <= 2048


async def test_a_failed_index_gets_another_pod(tmp_path):
    """A pod that fails is replaced as often as backoffLimitPerIndex says, then the Job fails."""
    async with cluster_of(tmp_path, "raise SystemExit(1)") as cluster:
        await cluster.apply(job(backoffLimitPerIndex=1))

        async def failed():
            return ((await cluster.read(Kind.JOB, "default", "j")).get("status") or {}).get("failedIndexes") == "0"

        await until(failed)
        assert len(await pods(cluster, "Failed")) == 2


async def test_a_pod_waits_for_what_it_names_and_says_so(tmp_path):
    """A missing ConfigMap and a missing Secret leave the pod waiting with a message; it starts when they appear."""
    mounts = [{"name": "v", "mountPath": "/etc/loadgate/plan"}]
    volumes = [{"name": "v", "configMap": {"name": "plan"}}]
    env = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "user", "key": "password"}}}]
    code = "import os, sys; print(open(sys.argv[1]).read() + os.environ['PASSWORD'])"
    async with cluster_of(tmp_path, code) as cluster:
        await cluster.apply(job(env=env, volumes=volumes, mounts=mounts, args=["/etc/loadgate/plan/plan.json"]))

        async def waits_for(words):
            return [p for p in await pods(cluster, "Pending") if words in str(p["status"].get("containerStatuses"))]

        (pod,) = await until(lambda: waits_for('configmap "plan" not found'))
        assert state(pod)["waiting"]["reason"] == "CreateContainerConfigError"
        base = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "plan"}}
        await cluster.apply({**base, "data": {"plan.json": "the plan and "}})
        await until(lambda: waits_for('secret "user" not found'))
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "user"}}
        await cluster.apply({**secret, "stringData": {"password": "the password"}})
        (pod,) = await until(lambda: pods(cluster, "Succeeded"))
        assert (await cluster.logs(pod)).strip() == "the plan and the password"


async def running(cluster):
    """The pods that run and have said that they are up."""
    return [pod for pod in await pods(cluster, "Running") if "up" in await cluster.logs(pod)]


def process_of(pod_name):
    """The processes whose working directory is that of a pod."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd().endswith(pod_name):
                found.append(process)
    return found


async def test_an_address_is_where_the_process_listens(tmp_path):
    """The address of a running pod is loopback and the port that its process was given; a waiting one has none."""
    async with cluster_of(tmp_path, f"import os; print(os.environ['{PORT_VARIABLE}'])\n" + SLEEP) as cluster:
        await cluster.apply(job())
        (pod,) = await until(lambda: running(cluster))
        port = (await cluster.logs(pod)).split()[0]
        assert cluster.address(pod) == f"http://127.0.0.1:{port}"
        assert cluster.address({**pod, "status": {"phase": "Pending"}}) is None


async def test_a_deleted_pod_ends_gracefully(tmp_path):
    """Deleting a Job sends its pods SIGTERM, and they are gone when their processes are."""
    async with cluster_of(tmp_path, SLEEP) as cluster:
        await cluster.apply(job(completions=2))
        await until(lambda: enough(cluster, 2))
        processes = [p for pod in await pods(cluster, "Running") for p in process_of(pod["metadata"]["name"])]
        assert len(processes) == 2
        await cluster.delete(Kind.JOB, "default", "j")
        await until(lambda: none_left(cluster))
        assert not any(p.is_running() for p in processes)


async def enough(cluster, count):
    found = await running(cluster)
    return found if len(found) == count else None


async def none_left(cluster):
    return not await cluster.list(Kind.POD, "default")


async def test_a_stubborn_pod_is_killed_after_its_grace(tmp_path):
    """SIGKILL follows where SIGTERM is not heeded in time."""
    async with cluster_of(tmp_path, STUBBORN, stop_grace=0.2) as cluster:
        await cluster.apply(job())
        (pod,) = await until(lambda: running(cluster))
        await cluster.delete(Kind.POD, "default", pod["metadata"]["name"])
        await until(lambda: gone(cluster, pod))


async def gone(cluster, pod):
    return pod["metadata"]["uid"] not in [p["metadata"]["uid"] for p in await cluster.list(Kind.POD, "default")]


async def test_descendants_end_with_their_pod(tmp_path):
    """What a pod's process started and left behind is ended too."""
    code = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print('up')"
    )
    async with cluster_of(tmp_path, code) as cluster:
        await cluster.apply(job())
        (pod,) = await until(lambda: pods(cluster, "Succeeded"))

        async def ended():
            return not process_of(pod["metadata"]["name"])

        await until(ended)


@pytest.mark.parametrize("error", [None, RuntimeError("boom"), asyncio.CancelledError()])
async def test_nothing_is_left_when_the_block_ends(tmp_path, error):
    """However the block ends, processes and files are gone."""
    processes = []
    with contextlib.suppress(RuntimeError, asyncio.CancelledError):
        async with cluster_of(tmp_path, STUBBORN, stop_grace=0.1) as cluster:
            await cluster.apply(job(completions=2))
            for pod in await until(lambda: enough(cluster, 2)):
                processes += process_of(pod["metadata"]["name"])
            if error:
                raise error
    assert len(processes) == 2
    assert not any(p.is_running() for p in processes)
    assert list(tmp_path.iterdir()) == []


async def test_logs_are_bounded(tmp_path):
    """A pod that writes without end fills two bounded files, and the newest words are kept."""
    code = f"import sys\nfor i in range({3 * MOST_LOG} // 1024): print('x' * 1023)\nprint('the end')"
    logs = tmp_path / "logs"
    async with cluster_of(tmp_path, code, logs=logs) as cluster:
        await cluster.apply(job())
        (pod,) = await until(lambda: pods(cluster, "Succeeded"))
        assert (await cluster.logs(pod)).endswith("the end\n")
        assert sum(path.stat().st_size for path in logs.iterdir()) <= 2 * MOST_LOG
        assert len(tail_of(cluster.log_path(pod), 100)) == 100


@pytest.mark.parametrize(
    ("folder", "keep", "kept"), [("logs", True, True), ("logs", False, False), (None, True, False)]
)
async def test_a_log_goes_with_its_pod_unless_it_is_to_stay(tmp_path, folder, keep, kept):
    """Logs in a folder that was asked for stay; others don't pile up while the operator runs for months."""
    logs = tmp_path / folder if folder else None
    async with cluster_of(tmp_path, "print('words')", logs=logs, keep_logs=keep) as cluster:
        await cluster.apply(job())
        (pod,) = await until(lambda: pods(cluster, "Succeeded"))
        log = cluster.log_path(pod)
        assert log.exists()
        await cluster.delete(Kind.JOB, "default", "j")
        await cluster.apply(job(args=["another"]))
        await until(lambda: pods(cluster, "Succeeded"))
        assert log.exists() is kept


async def test_a_log_that_cannot_be_written_ends_no_pod(tmp_path, caplog):
    """A full disk, or a folder that was taken away, costs the log and not the run; it is said once."""
    code = "import os\nfor _ in range(5): os.write(1, b'x' * 70000)"
    logs = tmp_path / "logs"
    async with cluster_of(tmp_path, code, logs=logs) as cluster:
        logs.rmdir()
        await cluster.apply(job())
        (pod,) = await until(lambda: pods(cluster, "Succeeded", "Failed"))
        assert pod["status"]["phase"] == "Succeeded"
    assert caplog.text.count("can't be written") == 1


def test_a_private_folder_is_ours_alone_and_gone_afterwards(tmp_path):
    """Mode 0700, and removed at the end."""
    with private_folder(tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_process_is_removed_by_the_next(tmp_path):
    """A living process' folder stays; that of one that was killed goes when another begins."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom loadgate_operator.cluster.local.folder import private_folder\n"
        "with private_folder(Path(sys.argv[1])) as folder:\n    print(folder, flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        folder = Path(owner.stdout.readline().strip())
        assert remove_stale(tmp_path) == []
        assert folder.exists()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    assert remove_stale(tmp_path) == [folder]
    assert not folder.exists()


def test_a_folder_that_only_looks_like_ours_stays(tmp_path):
    """A link of our name is nobody's left-over folder."""
    target = tmp_path / "precious"
    target.mkdir()
    (tmp_path / "loadgate-embedded-x").symlink_to(target)
    assert remove_stale(tmp_path) == []
    assert target.exists()


@pytest.mark.parametrize(("env", "expected"), [([], None), ([{"name": "LOADGATE_CPU_LIMIT", "value": "0.5"}], "0.5")])
async def test_pods_without_a_limit_share_the_machine(tmp_path, env, expected):
    """Many pods of one Job each take a core at least and no more than their part; a stated limit is kept."""
    async with cluster_of(tmp_path, "import os; print(os.environ['LOADGATE_CPU_LIMIT'])") as cluster:
        count = 2 * cores()
        await cluster.apply(job(completions=count, env=env))

        async def all_ended():
            found = await pods(cluster, "Succeeded")
            return found if len(found) == count else None

        said = {(await cluster.logs(pod)).strip() for pod in await until(all_ended)}
    assert said == {expected or "1"}
