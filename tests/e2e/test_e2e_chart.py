"""The chart's own test, as whoever installs it runs it."""

import pytest
from e2e_stage import RELEASE, SYSTEM

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(600, func_only=True)]


def test_helm_test_passes(kube, helm, operator):
    """`helm test` goes from a manifest to its verdict with the real images, says so, and leaves no LoadTest behind."""
    said = kube.run(*helm, "test", RELEASE, "-n", SYSTEM, "--logs", "--timeout", "120s", seconds=150)
    assert "Phase:          Succeeded" in said
    assert "Passed: " in said
    assert kube.items("LoadTest", SYSTEM) == []
