"""The control plane of tests/cluster for as long as a benchmark, with the real runner image, and its own audit log."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tests" / "cluster" / "cluster"
STATE = os.environ.get("CLUSTER_STATE", "/tmp/loadgate-bench")
PORT = os.environ.get("CLUSTER_PORT", "19743")
IMAGE = "loadgate-runner:bench"

T = TypeVar("T")

_POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
_CRDS = ("loadtests.loadgate.dev", "performancebudgets.loadgate.dev")


class NoClusterError(RuntimeError):
    """There is no control plane to be had here; the message says what is missing."""


def say(text: str) -> None:
    """Progress, for a person who waits."""
    print(text, file=sys.stderr, flush=True)


def until(look: Callable[[], T], seconds: float, every: float = 0.2) -> T:
    """The first answer that is true. Raises TimeoutError with the last one."""
    end = time.monotonic() + seconds
    while not (answer := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g}s: {answer!r}")
        time.sleep(every)
    return answer


@dataclass(frozen=True)
class Call:
    """One request to the API server, as the server wrote it down."""

    at: str
    agent: str
    verb: str
    resource: str
    namespace: str

    @property
    def writes(self) -> bool:
        """Whether it is one that changes something."""
        return self.verb not in ("get", "list", "watch")


@dataclass(frozen=True)
class Cluster:
    """A control plane that is up."""

    state: Path
    environment: dict[str, str]

    @property
    def kubeconfig(self) -> str:
        """Of its administrator."""
        return str(self.state / "admin.conf")

    def tool(self, *arguments: str, stdin: str | None = None, seconds: float = 1200) -> str:
        """What a command of tests/cluster prints. Raises RuntimeError with its complaint."""
        done = subprocess.run(
            [str(TOOL), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=self.environment,
        )
        if done.returncode:
            raise RuntimeError(f"cluster {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def kubectl(self, *arguments: str, stdin: str | None = None, seconds: float = 120) -> str:
        """What kubectl prints."""
        return self.tool("kubectl", *arguments, stdin=stdin, seconds=seconds)

    def get(self, *arguments: str) -> Any:
        """What kubectl prints as JSON."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """By `kubectl apply`, as a person does."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def calls(self) -> list[Call]:
        """All requests to the API server that are over, and all watches that have begun, in their order."""
        return list(_parsed(self.state / "audit.log"))

    @contextlib.contextmanager
    def namespace(self, name: str) -> Iterator[str]:
        """A namespace under the strictest pod security; its deletion is waited for, so that nothing of it disturbs."""
        self.kubectl("create", "namespace", name)
        self.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        until(lambda: self.kubectl("get", "serviceaccounts", "-n", name, "-o", "name").strip(), 30)
        yield name
        self.kubectl("delete", "namespace", name, "--timeout=240s", seconds=300)


@contextlib.contextmanager
def control_plane() -> Iterator[Cluster]:
    """Up, with loadgate's definitions and images; KEEP_CLUSTER=1 leaves it up. Raises NoClusterError."""
    if os.geteuid() != 0:
        raise NoClusterError("tests/cluster runs containers, for which one must be root")
    state = Path(STATE)
    state.mkdir(parents=True, exist_ok=True)
    policy = state / "audit-policy.yaml"
    policy.write_text(_POLICY)
    flags = f"--audit-policy-file={policy} --audit-log-path={state / 'audit.log'}"
    given = {"CLUSTER_STATE": STATE, "CLUSTER_PORT": PORT, "CLUSTER_APISERVER_FLAGS": flags}
    cluster = Cluster(state, {**os.environ, **given})
    say("starting a control plane (the first time its build takes minutes) …")
    try:
        _set_up(cluster)
        yield cluster
    finally:
        if not os.environ.get("KEEP_CLUSTER"):
            cluster.tool("down")


def _set_up(cluster: Cluster) -> None:
    try:
        cluster.tool("up")
        say("building the runner's image …")
        cluster.tool("image", IMAGE, str(ROOT), "runner")
        cluster.kubectl("apply", "-f", str(ROOT / "crds"))
        cluster.kubectl("wait", "--for=condition=Established", *(f"crd/{name}" for name in _CRDS), "--timeout=30s")
    except RuntimeError as error:
        raise NoClusterError(str(error)) from error


def _parsed(log: Path) -> Iterator[Call]:
    for line in log.read_text().splitlines():
        event = json.loads(line)
        about = event.get("objectRef") or {}
        # A watch counts when it begins, anything else when it is answered.
        if event["stage"] == ("ResponseStarted" if event["verb"] == "watch" else "ResponseComplete"):
            yield Call(
                at=event["requestReceivedTimestamp"],
                agent=event.get("userAgent", ""),
                verb=event["verb"],
                resource="/".join(filter(None, (about.get("resource"), about.get("subresource")))),
                namespace=about.get("namespace", ""),
            )
