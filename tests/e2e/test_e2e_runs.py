"""Whole runs with the real images: the chart's operator, runners as pods, the demo shop as the target."""

import pytest
from e2e_cluster import until
from e2e_stage import RESTRICTED

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(300, func_only=True)]


def test_from_a_manifest_to_a_verdict(stage):
    """A LoadTest of two runners passes, counts what the shop counted, and leaves nothing when it is deleted."""
    before = stage.shop.requests()
    stage.apply(count=2)
    status = stage.finish("Passed")
    assert status["summary"]["requests"] == stage.shop.requests() - before
    stage.removed()


def test_a_broken_limit_fails(stage):
    """A limit that can't be held is a Failed, with the limit named."""
    stage.apply(seconds=2, thresholds={"http_req_duration": ["p(95)<0.001"]})
    status = stage.finish("Failed")
    assert status["violations"]
    stage.removed()


def test_a_bare_runner_says_what_it_needs(kube, namespace):
    """The runner's image runs as any user id on a read-only root, and without a run says so and ends with 2."""
    container = {
        "name": "runner",
        "image": kube.runner_image,
        "args": ["--plan", "/nowhere", "--files", "/tmp"],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {**RESTRICTED, "runAsUser": 1_000_680_000},
    }
    pod = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    kube.create(
        "Job",
        {
            "metadata": {"name": "bare", "namespace": namespace},
            "spec": {"backoffLimit": 0, "template": {"spec": pod}},
        },
    )

    def ended():
        statuses = [
            one for p in kube.items("Pod", namespace) for one in p.get("status", {}).get("containerStatuses") or ()
        ]
        return next((one["state"]["terminated"] for one in statuses if "terminated" in one["state"]), None)

    end = until(ended, 60, lambda: kube.items("Pod", namespace))
    assert end["exitCode"] == 2, end
    assert "LOADGATE_RUN" in end["message"], end


PROBE = """
import importlib.util, os, shutil, sys
print([name for name in ("pip", "setuptools", "ensurepip", sys.argv[1]) if importlib.util.find_spec(name)])
print([name for name in ("pip", "pip3", "gcc", "cc", "loadgate") if shutil.which(name)])
print(os.getuid())
print(sum(os.lstat(os.path.join(top, name)).st_size for top, _, names in os.walk("/opt/loadgate") for name in names))
"""


@pytest.mark.parametrize("part", ["operator", "runner"])
def test_an_image_has_what_it_needs_and_no_more(kube, namespace, part):
    """An image has no pip, no compiler and no part of the other; it isn't root's, and adds under 150 MB to its base."""
    image, other = (
        (kube.operator_image, "loadgate_runner") if part == "operator" else (kube.runner_image, "loadgate_operator")
    )
    command = ["python", "-c", PROBE, other]
    container = {"name": "probe", "image": image, "command": command, "securityContext": RESTRICTED}
    pod = {"restartPolicy": "Never", "containers": [container]}
    kube.create("Pod", {"metadata": {"name": "probe", "namespace": namespace}, "spec": pod})

    def look():
        return kube.get("Pod", namespace, "probe")

    until(lambda: look()["status"].get("phase") in ("Succeeded", "Failed"), 60, look)
    *said, size = kube.api.get(f"/api/v1/namespaces/{namespace}/pods/probe/log").text.split("\n")[:4]
    assert said == ["[]", "[]", "65532"]
    assert 10e6 < int(size) < 150e6
