"""The chart's own test, as whoever installs it runs it."""

import pytest
from e2e_stage import RELEASE, SYSTEM

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(600)]


def test_helm_test_passes(kube, helm, operator):
    """`helm test` goes from a manifest to its verdict with the real images, says so, and leaves no LoadTest behind."""
    said = kube.run(*helm, "test", RELEASE, "-n", SYSTEM, "--logs", "--timeout", "120s", seconds=150)
    assert "Phase:          Succeeded" in said
    assert "Passed: " in said
    assert kube.items("LoadTest", SYSTEM) == []


def test_the_charts_defaults_are_the_runners(stage, helm):
    """Values of `runners` reach every run's pods under what its test says, in a namespace that admits restricted pods only."""
    defaults = (
        "runners.labels.team=load",
        "runners.labels.cost=low",
        "runners.nodeSelector.kubernetes\\.io/os=linux",
        "runners.resources.limits.memory=512Mi",
        "runners.env[0].name=TZ,runners.env[0].value=UTC",
        "runners.volumes[0].name=cache,runners.volumes[0].emptyDir.sizeLimit=1Mi",
        "runners.volumeMounts[0].name=cache,runners.volumeMounts[0].mountPath=/var/cache",
        "runners.topologySpreadConstraints[0].maxSkew=1",
        "runners.topologySpreadConstraints[0].topologyKey=zone",
        "runners.topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway",
    )
    stage.operator.install(helm, *defaults)
    try:
        stage.apply(seconds=2, runners={"count": 1, "processes": 1, "labels": {"team": "shop"}})
        stage.finish("Passed")
        (pod,) = stage.pods()
    finally:
        stage.operator.install(helm)
    (container,) = pod["spec"]["containers"]
    assert (pod["metadata"]["labels"]["team"], pod["metadata"]["labels"]["cost"]) == ("shop", "low")
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["spec"]["topologySpreadConstraints"][0]["topologyKey"] == "zone"
    assert container["resources"]["limits"] == {"memory": "512Mi"}
    assert {"name": "TZ", "value": "UTC"} in container["env"]
    assert "/var/cache" in {mount["mountPath"] for mount in container["volumeMounts"]}
    stage.removed()
