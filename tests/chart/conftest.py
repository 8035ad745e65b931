import pytest
from chart_kit import Helm, helm_command
from kube_cluster import NoClusterError, down, find


@pytest.fixture(scope="session")
def helm():
    """Helm, built where Go is at hand."""
    return Helm(helm_command())


@pytest.fixture(scope="session")
def cluster():
    """The cluster of KUBECONFIG, or the local one, started for these tests where it isn't up."""
    try:
        found = find()
    except NoClusterError as error:
        pytest.skip(f"NO CLUSTER, so no API server has looked at the chart: {error}")
    yield found
    down(found)
