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


def pytest_terminal_summary(terminalreporter):
    """What was not tested is not to be overlooked."""
    skipped = [report for report in terminalreporter.stats.get("skipped", ()) if "tests/chart/" in report.nodeid]
    reasons = sorted({report.longrepr[2].removeprefix("Skipped: ") for report in skipped})
    if reasons:
        terminalreporter.section(f"LEFT OUT: {len(skipped)} tests of the chart", red=True, bold=True)
        for reason in reasons:
            terminalreporter.write_line(reason, red=True)
