"""A real API server for tests: KUBECONFIG's, or the one-node control plane of tests/cluster, with runners on it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tests" / "cluster" / "cluster"
IMAGE = "loadgate:dev"
PROGRAMS = Path("/var/tmp") / f"loadgate-test-programs-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
"""Where pods find this work tree's runner: they see the machine's files, but not its /tmp, where a clone may be."""
_NOT_FOR_RUNNERS = (
    "kubernetes",
    "mypy",
    "mypyc",
    "*mypyc*",
    "pip",
    "cryptography",
    "ruff*",
    "hypothesis",
    "__pycache__",
)


class NoClusterError(Exception):
    """There is none, and none can be made; the message says what is missing."""


@dataclass
class Kube:
    """One cluster. `runs_pods` says whether loadgate's runners can run in it, and reach this machine's loopback."""

    kubeconfig: str
    kubectl: tuple[str, ...]
    runs_pods: bool
    started: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """What kubectl prints; with its complaint in the error where it fails."""
        done = subprocess.run(
            [*self.kubectl, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env={**os.environ, **self.environment, "KUBECONFIG": self.kubeconfig},
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}")
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """What kubectl prints as JSON; None where there is nothing."""
        text = self.run("get", *arguments, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create objects, or make them so."""
        self.run("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def until(self, look: Callable[[], Any], seconds: float = 60.0) -> Any:
        """The first answer that is true; fails with the last one."""
        end = time.monotonic() + seconds
        while not (answer := look()):
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds:g}s: {answer!r}")
            time.sleep(0.2)
        return answer


def find() -> Kube:
    """The cluster of KUBECONFIG, else the local one, which is started where it isn't up. Raises NoClusterError."""
    given = os.environ.get("KUBECONFIG")
    local = {
        "CLUSTER_STATE": os.environ.get("CLUSTER_STATE", "/tmp/loadgate-kube-tests"),
        "CLUSTER_PORT": os.environ.get("CLUSTER_PORT", "17443"),
    }
    if given and (Path(given).parent / "node").is_dir():
        # That of `make cluster`: it can be asked for more than another.
        server = yaml.safe_load(Path(given).read_text(encoding="utf-8"))["clusters"][0]["cluster"]["server"]
        local = {"CLUSTER_STATE": str(Path(given).parent), "CLUSTER_PORT": server.rsplit(":", 1)[1]}
    elif given:
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise NoClusterError("KUBECONFIG is set, but there is no kubectl to ask that cluster with")
        return Kube(given, (kubectl,), runs_pods=False)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kubebox"
    if shutil.which("go") is None and not list(cache.glob("kubebox-*")):
        raise NoClusterError("neither KUBECONFIG is set nor is there Go to build tests/cluster with")
    if os.geteuid() != 0:
        raise NoClusterError("KUBECONFIG isn't set, and tests/cluster runs containers, for which one must be root")
    return _local(local)


def _local(environment: dict[str, str]) -> Kube:
    everything = {**os.environ, **environment}
    was_up = subprocess.run([str(TOOL), "status"], env=everything, capture_output=True, check=False).returncode == 0
    up = subprocess.run([str(TOOL), "up"], env=everything, capture_output=True, text=True, timeout=900, check=False)
    if up.returncode:
        raise NoClusterError(f"tests/cluster did not start: {up.stderr.strip()[-500:]}")
    kubeconfig = up.stdout.strip().splitlines()[-1]
    kube = Kube(kubeconfig, (str(TOOL), "kubectl"), runs_pods=True, started=not was_up, environment=environment)
    _register(kube, Path(environment["CLUSTER_STATE"]))
    return kube


def down(kube: Kube) -> None:
    """Stop the cluster, if it was started for the tests."""
    shutil.rmtree(PROGRAMS, ignore_errors=True)
    if kube.started:
        subprocess.run([str(TOOL), "down"], env={**os.environ, **kube.environment}, check=True, timeout=120)


def _register(kube: Kube, state: Path) -> None:
    """Make this work tree's runner the image of runner pods, run by another user than root, as pods must be."""
    everything = {**os.environ, **kube.environment}
    subprocess.run([str(TOOL), "image", IMAGE, "--", "loadgate-runner"], env=everything, check=True, timeout=60)
    shutil.rmtree(PROGRAMS, ignore_errors=True)
    left_out = shutil.ignore_patterns(*_NOT_FOR_RUNNERS)
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    for source in (ROOT / "core", ROOT / "runner", Path(libraries)):
        shutil.copytree(source, PROGRAMS / "lib", ignore=left_out, dirs_exist_ok=True)
    program = PROGRAMS / "loadgate-runner"
    program.write_text(
        "#!/bin/sh\n"
        f"export PYTHONPATH={PROGRAMS}/lib PYTHONDONTWRITEBYTECODE=1\n"
        f'exec {_interpreter()} -m loadgate_runner "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    images = state / "node" / "images.json"
    known = json.loads(images.read_text(encoding="utf-8"))
    known[IMAGE] |= {"user": "65532", "env": {"PATH": f"{PROGRAMS}:/usr/local/bin:/usr/bin:/bin"}}
    images.write_text(json.dumps(known), encoding="utf-8")


def _interpreter() -> str:
    """A Python of this version that every user may run; a version manager's is often in a home that is closed."""
    same = f"python3.{sys.version_info.minor}"
    for candidate in (os.path.realpath(sys.executable), f"/usr/bin/{same}", f"/usr/local/bin/{same}"):
        path = Path(candidate)
        if path.exists() and all(map(_is_open, (path, *path.parents))):
            return candidate
    raise NoClusterError(f"no {same} that a pod's user may run; {sys.executable} is in a closed folder")


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IXOTH)


class OperatorProcess:
    """`loadgate-operator` beside a cluster, as a child process."""

    def __init__(self, kube: Kube, log: Path, *arguments: str, kubeconfig: str = "") -> None:
        self.log = log
        self.url = ""
        program = Path(sys.executable).with_name("loadgate-operator")
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(program), "--listen", "127.0.0.1:0", "--runner-image", IMAGE, *arguments],
                env={**os.environ, "KUBECONFIG": kubeconfig or kube.kubeconfig},
                stderr=output,
            )
        kube.until(lambda: self.ready() or self.process.poll() is not None, 40)
        if self.process.poll() is not None:
            raise AssertionError(self.said())

    def said(self) -> str:
        """Its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def fetch(self, path: str) -> tuple[int, str]:
        """The status and the text of one of its pages; (0, "") while it doesn't serve."""
        found = [
            line.split(" at ", 1)[1].strip() for line in self.said().splitlines() if "metrics and health at" in line
        ]
        if not found:
            return 0, ""
        try:
            with urlopen(found[0] + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, ""
        except URLError:
            return 0, ""

    def ready(self) -> bool:
        """Whether it says so itself."""
        return self.fetch("/readyz")[0] == 200

    def count(self, metric: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels."""
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        lines = self.fetch("/metrics")[1].splitlines()
        mine = [line for line in lines if line.startswith(metric) and all(one in line for one in wanted)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in mine)

    def kill(self) -> None:
        """Without a chance to say goodbye."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """As Kubernetes stops it; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def namespaces() -> Iterator[str]:
    """Names that no other test has."""
    number = 0
    while True:
        number += 1
        yield f"kube-{os.getpid()}-{number}"
