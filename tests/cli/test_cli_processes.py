"""The command as real processes against a real shop: what it prints where, what it leaves, and how it exits."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from loadgate_cli.shop import examples, serving

pytestmark = pytest.mark.processes

TEST = """\
apiVersion: loadgate.dev/v1alpha1
kind: LoadTest
metadata: {name: quick, labels: {app: shop}}
spec:
  target: {url: "URL"}
  scenarios:
  - name: s
    executor: constant-vus
    vus: 2
    duration: 1s
    gracefulStop: 1s
    steps:
    - request: {name: home, url: /}
      check: {status: 200}
    - think: 20ms
  thresholds: {http_req_duration: ["p(95)<5000"], http_req_failed: ["rate<0.5"]}
"""
LOADGATE = [sys.executable, "-m", "loadgate_cli.main"]
ENVIRONMENT = {**os.environ, "CI": "true", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """A healthy shop's address."""
    with serving(examples(), "none") as url:
        yield url


@pytest.fixture
def manifest(tmp_path: Path, shop: str) -> Path:
    """A test of the shop that takes a second."""
    path = tmp_path / "quick.yaml"
    path.write_text(TEST.replace("URL", shop))
    return path


def loadgate(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*LOADGATE, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env=ENVIRONMENT,
        check=False,
    )


@contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """The command under way, in a process group of its own."""
    process = subprocess.Popen(
        [*LOADGATE, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def until(process: subprocess.Popen[str], text: str) -> None:
    """Read its standard error up to a line with this text."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"it never said {text!r}")


def eventually(holds: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first answer that isn't empty."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.1)
    raise AssertionError("it never came to be")


def children_of(pid: int) -> set[int]:
    """Every process below one, its children's children included."""
    found = {
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    }
    return found.union(*(children_of(child) for child in found if Path(f"/proc/{child}").exists()))


def served(shop: str) -> int:
    """How many front pages the shop has given out."""
    with urllib.request.urlopen(f"{shop}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    counts = [line.split()[-1] for line in lines if line.startswith('shop_http_requests_total{method="GET",route="/",')]
    return int(float(counts[0])) if counts else 0


def alive(pids: set[int]) -> set[int]:
    """Those that still run."""
    return {pid for pid in pids if (status := _status(pid)) and "State:\tZ" not in status}


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""


def test_passed_exits_0_and_leaves_everything(manifest: Path, tmp_path: Path):
    """A pass: verdict on standard output, progress on standard error, result and reports in the folder."""
    done = loadgate("run", manifest, "--out", tmp_path / "out", "--runners", "2")
    assert (done.returncode, "Passed" in done.stdout) == (0, True), done.stderr
    assert "quick: Running" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    files = {path.name for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert files == {"result.json.zst", "report.html", "junit.xml", "summary.md"}
    suites = ET.parse(tmp_path / "out" / "junit.xml").getroot()
    assert (suites.get("failures"), int(suites.get("tests", "0")) > 0) == ("0", True)
    shown = loadgate("report", tmp_path / "out")
    assert shown.stdout == done.stdout


def test_failed_exits_1_and_names_the_limit(manifest: Path):
    """A broken limit: exit 1, with the limit and what it was."""
    done = loadgate("run", manifest, "--set", 'spec.thresholds={http_req_duration: ["p(95)<0.001"]}')
    assert done.returncode == 1, done.stderr
    assert "Failed" in done.stdout
    assert "http_req_duration p(95)" in done.stdout


def test_invalid_exits_2_and_starts_nothing(manifest: Path):
    """A fault: exit 2, its place, and nothing on standard output."""
    manifest.write_text(manifest.read_text().replace("constant-vus", "constant-users"))
    done = loadgate("run", manifest)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{manifest}:8:" in done.stderr
    assert "nothing was started" in done.stderr


def test_load_that_may_not_go_there_exits_2(manifest: Path):
    """A target that `--allowed-target` rules out starts nothing, and one that it lists runs; a rule that is none is told."""
    done = loadgate("run", manifest, "--allowed-target", "10.0.0.0/8", "--allowed-target", "*.shop")
    assert (done.returncode, "TargetNotAllowed: spec.target.url" in done.stdout) == (2, True), done.stdout
    assert "it may go to 10.0.0.0/8, *.shop" in done.stdout
    done = loadgate("run", manifest, "--allowed-target", "127.0.0.0/8")
    assert done.returncode == 0, done.stderr
    done = loadgate("run", manifest, "--allowed-target", "shop:80")
    assert (done.returncode, "no port" in done.stderr) == (2, True)


def test_inconclusive_exits_3_and_says_why(manifest: Path):
    """A limit that has nothing to judge is no pass."""
    done = loadgate("run", manifest, "--set", 'spec.thresholds={"http_req_duration{status:500}": ["p(95)<500"]}')
    assert done.returncode == 3, done.stderr
    assert "NoSamples" in done.stdout


def test_json_is_all_that_standard_output_has(manifest: Path):
    """`-o json` prints the object with its status, and nothing else."""
    done = loadgate("run", "-", "-o", "json", stdin=manifest.read_text())
    assert done.returncode == 0, done.stderr
    test = json.loads(done.stdout)
    assert (test["kind"], test["status"]["phase"]) == ("LoadTest", "Passed")
    assert test["status"]["summary"]["requests"] > 0
    conditions = {c["type"]: c["status"] for c in test["status"]["conditions"]}
    assert conditions["Complete"] == conditions["Passed"] == conditions["Ready"] == "True"


def test_json_has_the_budgets_word_too(manifest: Path):
    """A budget's status speaks of the run that was just judged."""
    budget = (
        "---\napiVersion: loadgate.dev/v1alpha1\nkind: PerformanceBudget\nmetadata: {name: shop}\n"
        'spec: {selector: {matchLabels: {app: shop}}, errorRate: {"*": {max: 1%}}}\n'
    )
    done = loadgate("run", "-", "-o", "json", stdin=manifest.read_text() + budget)
    assert done.returncode == 0, done.stderr
    test, judge = json.loads(done.stdout)["items"]
    assert test["status"]["budgets"] == ["shop"]
    assert judge["status"]["loadTests"] == [{"name": "quick", "run": 1, "satisfied": True, "violations": []}]


def test_several_tests_run_one_after_another(manifest: Path, tmp_path: Path):
    """Two tests, one of which fails: exit 1, and a folder of results each."""
    text = manifest.read_text()
    bad = text.replace("name: quick", "name: strict").replace("p(95)<5000", "p(95)<0.001")
    done = loadgate("run", "-", "--out", tmp_path / "out", stdin=f"{text}---\n{bad}")
    assert done.returncode == 1, done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir() if (path / "junit.xml").exists()} == {"quick", "strict"}


def test_python_journey_beside_the_manifest_just_works(shop: str, tmp_path: Path):
    """A script in a folder of the ConfigMap's name is found and run, with a secret from a file."""
    (tmp_path / "pw").write_text("x\n")
    done = loadgate(
        "run", examples() / "python-journey.yaml", "--secret", f"password=@{tmp_path / 'pw'}", "--set", f"spec.target.url={shop}",
        "--set", "spec.scenarios[0].duration=1s", "-o", "json",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    test = next(one for one in [json.loads(done.stdout)] if one["kind"] == "LoadTest")
    assert {endpoint["name"] for endpoint in test["status"]["endpoints"]} >= {"login", "products", "add to cart"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_exits_130_with_what_was_measured(
    manifest: Path, tmp_path: Path, shop: str, number: signal.Signals
):
    """One signal: the run ends gracefully, is reported as far as it came, and no process is left."""
    with started("run", manifest, "--set", "spec.scenarios[0].duration=60s", "--out", tmp_path / "out") as process:
        until(process, "quick: Running")
        children = children_of(process.pid)
        before = served(shop)
        eventually(lambda: served(shop) > before + 20)  # so that there is something to report
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert "the run was stopped by hand" in stdout
    assert json.loads(loadgate("report", tmp_path / "out", "-f", "json").stdout)["summary"]["requests"] > 0
    assert not alive(children)


def test_interrupted_twice_ends_at_once(manifest: Path):
    """Iterations that take for ever hold nobody who asks twice."""
    with started(
        "run",
        manifest,
        "--set",
        "spec.scenarios[0]={name: s, executor: constant-vus, duration: 60s, gracefulStop: 60s, steps: [{think: 60s}]}",
    ) as process:
        until(process, "quick: Running")
        children = children_of(process.pid)
        process.send_signal(signal.SIGINT)
        until(process, "stopping: ")
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - begun < 15
    assert not alive(children)


def test_killed_leaves_no_process(manifest: Path):
    """SIGKILL gives us no chance; the runners end all the same."""
    with started("run", manifest, "--set", "spec.scenarios[0].duration=60s") as process:
        until(process, "quick: Running")
        children = children_of(process.pid)
        assert children
        process.kill()
        eventually(lambda: not alive(children))


def test_a_folder_that_cannot_be_written_is_told_first(manifest: Path, tmp_path: Path):
    """`--out` is tried before load begins."""
    (tmp_path / "file").write_text("")
    done = loadgate("run", manifest, "--out", tmp_path / "file" / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing was started" in done.stderr


def test_demo_of_a_slow_shop_fails_by_name(tmp_path: Path):
    """A demo with a fault exits 1, names a violated limit, and says where the report is and what to try next."""
    done = loadgate("demo", "--fault", "slow", "--out", tmp_path / "demo")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "http_req_duration p(95)" in done.stdout
    *_, report, next_step = done.stderr.strip().splitlines()
    assert str(tmp_path / "demo" / "report.html") in report
    assert next_step.startswith("try next:")


def test_help_imports_nothing_heavy():
    """`loadgate --help` and completion stay quick: no models, no network, no renderer is imported for them."""
    code = "import sys, loadgate_cli.main; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "aiohttp", "httpx", "rich", "yaml", "loadgate.api", "loadgate_operator"} & set(modules)


def test_a_terminal_sees_progress_drawn_in_place(manifest: Path):
    """On a terminal the bar is redrawn and gone at the end; standard output has the verdict alone."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in ("CI", "NO_COLOR")}
    with subprocess.Popen(
        [*LOADGATE, "run", str(manifest)],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env={**environment, "TERM": "xterm", "COLUMNS": "80"},
    ) as process:
        os.close(theirs)
        drawn = "".join(_read_all(ours))
        stdout = process.stdout.read() if process.stdout else ""
    assert process.returncode == 0
    assert "\x1b[2K" in drawn  # a line is wiped to be drawn anew
    assert "req/s" in drawn
    assert "\x1b" not in stdout
    assert stdout.startswith("✓ Passed")


def _read_all(terminal: int) -> Iterator[str]:
    """What is written to a terminal, until whoever wrote is gone."""
    with os.fdopen(terminal, "rb", buffering=0) as stream, suppress(OSError):  # Linux says EIO at the end
        while data := stream.read(4096):
            yield data.decode(errors="replace")


def test_up_runs_what_changes_and_keeps_statuses(manifest: Path, tmp_path: Path):
    """A folder is watched: run at first, judged anew when limits change, told of faults, ended by SIGTERM."""
    folder = tmp_path / "watched"
    folder.mkdir()
    status = folder / ".loadgate" / "quick.status.yaml"
    path = folder / "quick.yaml"

    def state(*wanted: object) -> bool:
        found = yaml.safe_load(status.read_text()) if status.exists() else None
        found = found or {}
        return (found.get("phase"), (found.get("run") or {}).get("number")) == wanted

    path.write_text(manifest.read_text())
    with started("up", folder, "--listen", "127.0.0.1:0") as process:
        until(process, "watching")
        eventually(lambda: state("Passed", 1), 30)
        path.write_text(manifest.read_text().replace("p(95)<5000", "p(95)<0.001"))
        eventually(lambda: state("Failed", 1), 30)
        path.write_text(manifest.read_text().replace("vus: 2", "vus: none"))
        until(process, "spec.scenarios[0].vus")
        path.write_text(manifest.read_text().replace("vus: 2", "vus: 1"))
        eventually(lambda: state("Passed", 2), 30)
        assert (folder / ".loadgate" / "results" / "quick" / "2" / "report.html").is_file()
        path.unlink()
        eventually(lambda: not status.exists())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_up_goes_on_where_it_was(manifest: Path, tmp_path: Path):
    """Started again, what hasn't changed isn't run again, limits that changed judge the kept result, and load is new."""
    folder = tmp_path / "watched"
    folder.mkdir()
    status, path = folder / ".loadgate" / "quick.status.yaml", folder / "quick.yaml"

    def reaches(text: str, *wanted: object) -> None:
        path.write_text(text)
        with started("up", folder, "--listen", "127.0.0.1:0") as process:
            until(process, "watching")

            def state() -> bool:
                found = yaml.safe_load(status.read_text()) if status.exists() else {}
                return (found.get("phase"), (found.get("run") or {}).get("number")) == wanted

            eventually(state, 30)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)

    reaches(manifest.read_text(), "Passed", 1)
    reaches(manifest.read_text(), "Passed", 1)
    reaches(manifest.read_text().replace("p(95)<5000", "p(95)<0.001"), "Failed", 1)
    reaches(manifest.read_text().replace("vus: 2", "vus: 1"), "Passed", 2)
    assert len(yaml.safe_load(status.read_text())["history"]) >= 1


def test_up_serves_metrics_and_health(tmp_path: Path):
    """Prometheus and whoever restarts things find what they look for."""
    with started("up", tmp_path, "--listen", "127.0.0.1:0") as process:
        assert process.stderr is not None
        url = process.stderr.readline().split("metrics at ")[1].strip().removesuffix("/metrics")
        for page in ("metrics", "healthz"):
            with urllib.request.urlopen(f"{url}/{page}", timeout=10) as answer:
                assert answer.status == 200


def test_up_tells_of_a_port_in_use(tmp_path: Path):
    """A port that is taken is told at once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = loadgate("up", tmp_path, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 2
    assert "ddress already in use" in done.stderr
