"""Where an end-to-end test plays: a namespace, the demo shop, the operator, and what must hold at the end of every run."""

import itertools
import json
import os
import random
import time
from dataclasses import dataclass, field

import httpx
from e2e_cluster import ROOT, until

OURS = "app.kubernetes.io/managed-by=loadgate"
SYSTEM = "loadgate-e2e"
RELEASE = "loadgate"
SHOP = "shop-e2e"
FINAL = ("Passed", "Failed", "Inconclusive", "Aborted")

# It is faults that are tested, not how fast a machine is that does everything at once.
BUSY = ["LoopLag", "ScheduleSlip", "CPULimit", "LateStart"]

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Operator:
    """The chart's Deployment of the real image."""

    def __init__(self, cluster):
        self.cluster = cluster

    def install(self, helm, *values, operator="", runner=""):
        """Install it, or make it so; with other images where they are named."""
        images = (
            ("image", operator or self.cluster.operator_image),
            ("runners.image", runner or self.cluster.runner_image),
        )
        split = [(key, *image.rpartition(":")[::2]) for key, image in images]
        chosen = [
            f"{key}.{what}" for key, repo, tag in split for what in ("registry=", f"repository={repo}", f"tag={tag}")
        ]
        # The default limit of memory stays; the probe is quicker, so that waiting for it is.
        chosen += ["readinessProbe.periodSeconds=1", "logFormat=text", *values]
        sets = itertools.chain.from_iterable(("--set", one) for one in chosen)
        command = (
            *helm,
            "upgrade",
            "--install",
            RELEASE,
            str(ROOT / "charts" / "loadgate"),
            "-n",
            SYSTEM,
            "--create-namespace",
            "--wait",
        )
        self.cluster.run(*command, *sets, seconds=180)
        self.ready()

    def pods(self):
        """Its pods that aren't going away."""
        selector = "app.kubernetes.io/component=operator"
        return [
            pod for pod in self.cluster.items("Pod", SYSTEM, selector) if not pod["metadata"].get("deletionTimestamp")
        ]

    def ready(self, replicas=1, seconds=60):
        """Wait until so many of it are ready, and no more of them are there."""

        def look():
            pods = self.pods()
            return len(pods) == replicas and all(map(_ready, pods))

        until(look, seconds, self.pods)

    def kill(self):
        """SIGKILL; whether it was there."""
        return sum(self.cluster.kill(pod, "operator") for pod in self.pods()) > 0

    def scale(self, replicas):
        """So many of it, and wait until that is so; past the chart, which refuses two without a Lease."""
        self.cluster.patch("Deployment", SYSTEM, RELEASE, {"spec": {"replicas": replicas}})
        until(lambda: len(self.cluster.items("Pod", SYSTEM, "app.kubernetes.io/component=operator")) == replicas)
        self.ready(replicas)

    def log(self):
        """The ends of its logs."""
        path = "/api/v1/namespaces/{}/pods/{}/log"
        ask = self.cluster.api.get
        return [ask(path.format(SYSTEM, pod["metadata"]["name"]), params={"tailLines": 30}).text for pod in self.pods()]


def _ready(pod):
    return any(
        one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions") or ()
    )


def shop_objects(image):
    """The demo shop from its sources, on the image that has what it needs."""
    files = {path.name: path.read_text() for path in (ROOT / "examples" / "shop").glob("*.py")}
    labels = {"app": "shop"}
    container = {
        "name": "shop",
        "image": image,
        "command": ["python", "-m", "shop", "--host", "$(POD_IP)"],
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "PYTHONPATH", "value": "/srv"},
        ],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/metrics", "port": 8080}, "periodSeconds": 1},
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "sources", "mountPath": "/srv/shop"}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "sources", "configMap": {"name": "shop"}}],
    }
    meta = {"name": "shop", "namespace": SHOP}
    return [
        ("Namespace", {"metadata": {"name": SHOP}}),
        ("ConfigMap", {"metadata": meta, "data": files}),
        ("Service", {"metadata": meta, "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}}),
        (
            "Deployment",
            {
                "metadata": meta,
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": pod},
                },
            },
        ),
    ]


class Shop:
    """The target, which counts its requests."""

    def __init__(self, cluster, client):
        self.cluster = cluster
        self.url = f"http://shop.{SHOP}.svc"
        self._address = ""
        self._client = client

    def install(self):
        """Start it, where it isn't there, and wait until it answers."""
        for kind, obj in shop_objects(self.cluster.operator_image):
            if not self.cluster.get(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]):
                self.cluster.create(kind, obj)
        self.ready()

    def ready(self, seconds=60):
        """Wait until it answers."""
        until(lambda: self.requests() is not None, seconds)

    def requests(self):
        """How many requests of load it has had; None while it doesn't answer."""
        try:
            return self._count(self._client.get(self._metrics(), timeout=5).raise_for_status().text)
        except httpx.HTTPError:
            return None

    def _metrics(self):
        """Where the counts are; known once and for all, so that an API server that is away hides no load."""
        if not self._address:
            service = self.cluster.path("Service", SHOP, "shop")
            self._address = f"{service}:80/proxy/metrics"
            if self.cluster.local:
                self._address = f"http://{self.cluster.ask('GET', service)['spec']['clusterIP']}/metrics"
        return self._address

    @staticmethod
    def _count(text):
        lines = [line for line in text.splitlines() if line.startswith("shop_http_requests_total{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'route="/metrics"' not in line)


@dataclass
class Stage:
    """One test's namespace, and what it does in it."""

    cluster: object
    shop: Shop
    operator: Operator
    namespace: str
    name: str = "checkout"
    began: float = field(default_factory=time.monotonic)

    def manifest(self, *, seconds=6, count=1, **spec):
        """A LoadTest of so many runners; `spec` goes before what it says."""
        steps = [{"request": {"name": "products", "url": "/products"}, "check": {"status": 200}}, {"think": "50ms"}]
        scenario = {"name": "shop", "executor": "constant-vus", "vus": 2, "duration": f"{seconds}s", "steps": steps}
        base = {
            "target": {"url": self.shop.url},
            "runners": {"count": count, "processes": 1},
            "scenarios": [scenario],
            "thresholds": {"checks": ["rate>0.99"], "http_req_duration": ["p(95)<5000"]},
            "tolerateDoubts": BUSY,
        }
        return {
            "apiVersion": "loadgate.dev/v1alpha1",
            "kind": "LoadTest",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": base | spec,
        }

    def apply(self, **how):
        """Create the LoadTest."""
        return self.cluster.create("LoadTest", self.manifest(**how))

    def edit(self, **spec):
        """Change its spec."""
        return self.cluster.patch("LoadTest", self.namespace, self.name, {"spec": spec})

    def test(self):
        """The LoadTest as it is, or None."""
        return self.cluster.get("LoadTest", self.namespace, self.name)

    def status(self):
        """Its status; empty where there is none."""
        return (self.test() or {}).get("status") or {}

    def conditions(self):
        """The conditions of its status: (status, reason) by type."""
        return {one["type"]: (one["status"], one["reason"]) for one in self.status().get("conditions") or ()}

    def reasons(self):
        """All the reasons that its conditions have now."""
        return {reason for _, reason in self.conditions().values()}

    def until_phase(self, *phases, seconds=60):
        """Its status once it is in one of these phases."""
        return until(lambda: (s := self.status()).get("phase") in phases and s, seconds, self.story)

    def until_reason(self, reason, seconds=60):
        """Its status once a condition has this reason."""
        until(lambda: reason in self.reasons(), seconds, self.story)
        return self.status()

    def until_load(self, seconds=60):
        """Wait until the run is going and the shop feels it."""
        self.until_phase("Running", seconds=seconds)
        before = self.shop.requests()
        until(lambda: (self.shop.requests() or 0) > before, seconds, self.story)

    def pods(self):
        """The pods of runners, as they are."""
        return self.cluster.items("Pod", self.namespace, OURS)

    def active(self):
        """The names of pods that may still make load."""
        return [
            p["metadata"]["name"] for p in self.pods() if p.get("status", {}).get("phase") in ("Pending", "Running")
        ]

    def left(self):
        """What there is of ours in the namespace."""
        kinds = ("Job", "Pod", "Secret", "ConfigMap")
        return [f"{k}/{one['metadata']['name']}" for k in kinds for one in self.cluster.items(k, self.namespace, OURS)]

    def leftovers(self):
        """What there is of ours, and what each waits for."""
        kinds = ("Job", "Pod", "Secret", "ConfigMap")
        found = [(kind, one) for kind in kinds for one in self.cluster.items(kind, self.namespace, OURS)]
        return [(kind, one["metadata"], (one.get("status") or {}).get("phase")) for kind, one in found]

    def story(self):
        """What someone wants to see where a test fails."""
        pods = {pod["metadata"]["name"]: pod["status"].get("phase") for pod in self.pods()}
        return {"status": self.status(), "pods": pods, "left": self.left(), "operator": self.operator.log()}

    def finish(self, *phases, seconds=90):
        """Wait for the end of the run: one of these phases, a status that agrees with itself, and no more load."""
        status = self.until_phase(*FINAL, seconds=seconds)
        assert status["phase"] in phases, self.story()
        self.agrees(status)
        at_the_end = self.shop.requests()
        until(lambda: not self.active(), 60, self.story)
        assert self.shop.requests() == at_the_end, "load under a finished status"
        return status

    def agrees(self, status):
        """A final status whose conditions say what its phase says, and that claims nothing that wasn't measured."""
        told = {one["type"]: one["status"] for one in status["conditions"]}
        assert status["observedGeneration"] == self.test()["metadata"]["generation"]
        assert told["Complete"] == "True", status
        assert "Reconciling" not in told, status
        assert told["Passed"] == ("True" if status["phase"] == "Passed" else "False"), status
        if status["phase"] == "Passed":
            assert told["Ready"] == "True"
            assert "Stalled" not in told
            assert status["runners"]["finished"] == status["runners"]["desired"], status
            assert not status["runners"]["lost"]
            assert status["summary"]["requests"] > 10, status
        if status["phase"] in ("Failed", "Inconclusive"):
            assert told["Stalled"] == "True"

    def small(self):
        """The status is within its promised bound."""
        assert len(json.dumps(self.status()).encode()) < 32 << 10

    def removed(self):
        """Delete the LoadTest, and wait until nothing of ours is left."""
        self.cluster.delete("LoadTest", self.namespace, self.name)
        until(lambda: not self.left(), 60, self.leftovers)


LONG = bool(os.environ.get("E2E_LONG"))

SEED = int(os.environ.get("E2E_SEED") or random.randrange(1_000_000))
"""Of all that is left to chance: the same one, the same moments."""
