"""Fixtures of the end-to-end tests; where there is no cluster that is said loudly, and they are left out."""

import shutil
from uuid import uuid4

import httpx
import pytest
from e2e_cluster import TOOL, LeftOut, cluster, until
from e2e_stage import SEED, Operator, Shop, Stage

_left_out = []


@pytest.fixture(scope="session")
def kube():
    """The cluster with the real images in it."""
    try:
        with cluster() as found:
            yield found
    except LeftOut as error:
        _left_out.append(str(error))
        pytest.skip(f"NO CLUSTER: {error}")


@pytest.fixture(scope="session")
def helm(kube):
    """How Helm is called."""
    if found := shutil.which("helm"):
        return (found,)
    return (str(TOOL), "helm")


@pytest.fixture(scope="session")
def operator(kube, helm):
    """The operator, installed by the chart."""
    installed = Operator(kube)
    installed.install(helm)
    return installed


@pytest.fixture(scope="session")
def shop(kube):
    """The demo shop behind a Service."""
    with httpx.Client() as direct:
        target = Shop(kube, direct if kube.local else kube.api)
        target.install()
        yield target


@pytest.fixture
def namespace(kube, request):
    """A namespace of the test's own, under the strictest pod security."""
    name = f"e2e-{uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kube.create("Namespace", {"metadata": {"name": name, "labels": labels}})
    until(lambda: kube.get("ServiceAccount", name, "default"))
    yield name
    kube.delete("Namespace", "", name)


@pytest.fixture
def stage(kube, shop, operator, namespace):
    """Where a test of a run plays, with one operator that is ready and a shop that answers."""
    operator.ready()
    shop.ready()
    return Stage(kube, shop, operator, namespace)


def pytest_terminal_summary(terminalreporter):
    """What was not tested is not to be overlooked; what was left to chance can be had again."""
    terminalreporter.write_line(f"end-to-end tests: E2E_SEED={SEED}")
    if _left_out:
        terminalreporter.section("LEFT OUT: all end-to-end tests", red=True, bold=True)
        terminalreporter.write_line(_left_out[0], red=True)
