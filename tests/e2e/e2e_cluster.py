"""The cluster that the end-to-end tests use: KUBECONFIG's, or the one of tests/cluster; spoken to through kubectl's proxy."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tests" / "cluster" / "cluster"
STATE = os.environ.get("CLUSTER_STATE", "/tmp/loadgate-e2e")
PORT = os.environ.get("CLUSTER_PORT", "18443")
CGROUPS = Path("/sys/fs/cgroup")

LIMIT = 60.0
"""Seconds that a wait may take where nothing else is said."""

PLURALS = {
    "LoadTest": "/apis/loadgate.dev/v1alpha1/{}loadtests",
    "PerformanceBudget": "/apis/loadgate.dev/v1alpha1/{}performancebudgets",
    "Job": "/apis/batch/v1/{}jobs",
    "Deployment": "/apis/apps/v1/{}deployments",
    "Node": "/api/v1/nodes",
    "Namespace": "/api/v1/namespaces",
    "Pod": "/api/v1/{}pods",
    "Service": "/api/v1/{}services",
    "Secret": "/api/v1/{}secrets",
    "ConfigMap": "/api/v1/{}configmaps",
    "ResourceQuota": "/api/v1/{}resourcequotas",
    "LimitRange": "/api/v1/{}limitranges",
    "ServiceAccount": "/api/v1/{}serviceaccounts",
    "Event": "/api/v1/{}events",
}


class LeftOut(Exception):  # noqa: N818 - it is no error: a machine without a cluster
    """These tests can't run here; the message says what is missing."""


def until(look, seconds=LIMIT, say=None):
    """The first answer that is true; fails with the last one, and with what `say()` says, after so many seconds."""
    end = time.monotonic() + seconds
    while not (answer := look()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g}s: {say() if say else answer!r}")
        time.sleep(0.1)
    return answer


@dataclass
class Cluster:
    """One cluster. `local` is the one of tests/cluster, whose programs can be stopped and whose containers can be killed."""

    local: bool
    kubectl: tuple[str, ...]
    environment: dict[str, str]
    operator_image: str = ""
    runner_image: str = ""
    api: httpx.Client = field(default_factory=httpx.Client)

    def run(self, *command, stdin=None, seconds=120, **environment):
        """A finished command's output, with its complaint where it fails."""
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=self.environment | environment,
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(map(str, command))}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
        return done.stdout

    def tool(self, *arguments, seconds=120):
        """A command of tests/cluster."""
        return self.run(str(TOOL), *arguments, seconds=seconds)

    def path(self, kind, namespace, name=""):
        """Where the API server has it."""
        return PLURALS[kind].format(f"namespaces/{namespace}/" if namespace else "") + (f"/{name}" if name else "")

    def ask(self, method, path, **more):
        """An answer of the API server; None for 404, and an error for another refusal."""
        answer = self.api.request(method, path, **more)
        if answer.status_code == 404:
            return None
        if answer.status_code >= 400:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def get(self, kind, namespace, name):
        """An object, or None."""
        return self.ask("GET", self.path(kind, namespace, name))

    def items(self, kind, namespace, selector=""):
        """The objects of a kind, by label where a selector is given."""
        found = self.ask("GET", self.path(kind, namespace), params={"labelSelector": selector} if selector else {})
        return found["items"] if found else []

    def create(self, kind, obj):
        """Make an object."""
        return self.ask("POST", self.path(kind, obj["metadata"].get("namespace", "")), json=obj)

    def patch(self, kind, namespace, name, change):
        """Merge a change into an object."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return self.ask("PATCH", self.path(kind, namespace, name), content=json.dumps(change), headers=headers)

    def delete(self, kind, namespace, name, *, grace=None):
        """Delete an object; at once, without its consent, where `grace` is 0."""
        return self.ask(
            "DELETE", self.path(kind, namespace, name), params={} if grace is None else {"gracePeriodSeconds": grace}
        )

    def evict(self, pod):
        """Ask for its eviction, as a drain of its node does."""
        metadata = {name: pod["metadata"][name] for name in ("name", "namespace")}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        return self.ask("POST", self.path("Pod", *reversed(metadata.values())) + "/eviction", json=body)

    def processes(self, pod, container):
        """The ids of a container's processes, the first one first. Only where the cluster is local."""
        group = f"kubebox/{pod['metadata']['uid']}-{container}"
        places = (CGROUPS / group, CGROUPS / "memory" / group)
        found = [place / "cgroup.procs" for place in places if (place / "cgroup.procs").exists()]
        return [int(line) for line in found[0].read_text().split()] if found else []

    def kill(self, pod, container, number=signal.SIGKILL):
        """Send all of a container's processes a signal; how many there were."""
        ids = self.processes(pod, container)
        for process in ids:
            with suppress(ProcessLookupError):
                os.kill(process, number)
        return len(ids)

    def build(self, name, kind, base, *, files=()):
        """An image of images/KIND.Dockerfile on the base of another one; its name."""
        images = Path(__file__).with_name("images")
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(images / f"{kind}.Dockerfile", Path(folder) / "Dockerfile")
            for file in files:
                shutil.copy(images / file, folder)
            self.run(str(TOOL), "image", name, folder, seconds=600, BASE=base)
        return name

    @contextmanager
    def away(self, program):
        """One of the control plane's programs is stopped meanwhile.

        Controllers that lost their API server, and with it their leases, begin anew, as they do elsewhere.
        """
        self.tool("stop", program)
        try:
            yield
        finally:
            self.tool("start", program)
            until(self.answers)
            for controller in () if program == "node" else ("kube-controller-manager", "kube-scheduler"):
                self.tool("stop", controller)
                self.tool("start", controller)

    def answers(self):
        """Whether the API server is there."""
        try:
            return self.api.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def cluster():
    """The cluster, up, with images and an open proxy. Raises LeftOut."""
    given = os.environ.get("KUBECONFIG")
    local = not given or Path(given) == Path(STATE) / "admin.conf"
    with (
        _local() if local else _foreign() as found,
        _proxy(found) as address,
        httpx.Client(base_url=address, timeout=20) as found.api,
    ):
        until(found.answers)
        yield found


@contextmanager
def _foreign():
    kubectl = shutil.which("kubectl")
    images = [os.environ.get(f"E2E_{part}_IMAGE", "") for part in ("OPERATOR", "RUNNER")]
    if not kubectl:
        raise LeftOut("KUBECONFIG is set, but there is no kubectl to ask that cluster with")
    if not all(images):
        raise LeftOut(
            "KUBECONFIG is set: E2E_OPERATOR_IMAGE and E2E_RUNNER_IMAGE must name images that its nodes can pull"
        )
    yield Cluster(
        local=False, kubectl=(kubectl,), environment=dict(os.environ), operator_image=images[0], runner_image=images[1]
    )


@contextmanager
def _local():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubebox"
    if not shutil.which("go") and not list(cache.glob("kubebox-*")):
        raise LeftOut("neither is KUBECONFIG set nor is there Go to build the control plane of tests/cluster with")
    if os.geteuid() != 0:
        raise LeftOut("KUBECONFIG isn't set, and tests/cluster runs containers, for which one must be root")
    environment = {**os.environ, "CLUSTER_STATE": STATE, "CLUSTER_PORT": PORT, "KUBECONFIG": f"{STATE}/admin.conf"}
    found = Cluster(local=True, kubectl=(str(TOOL), "kubectl"), environment=environment)
    try:
        found.tool("up", seconds=1200)
        for part in ("operator", "runner"):
            name = f"loadgate-{part}:e2e-{_contents()}"
            found.tool("image", name, str(ROOT), part, seconds=1200)
            setattr(found, f"{part}_image", name)
        yield found
    finally:
        if not os.environ.get("KEEP_CLUSTER"):
            found.tool("down")


def _contents():
    """A hash of all that goes into the images, so that one of other contents has another name, and pods get it."""
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    tops = [ROOT / line[1:] for line in allowed if line.startswith("!")] + [ROOT / "Dockerfile"]
    files = {path for top in tops for path in ((top, *top.rglob("*")) if top.is_dir() else (top,)) if path.is_file()}
    digest = hashlib.sha256()
    for path in sorted(path for path in files if path.suffix != ".pyc"):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


@contextmanager
def _proxy(found):
    command = [*found.kubectl, "proxy", "--port=0"]
    process = subprocess.Popen(
        command, env=found.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        line = process.stdout.readline()
        yield "http://" + re.search(r"on ([\d.:]+)", line)[1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
