import pytest
from chart_kit import Helm, helm_command


@pytest.fixture(scope="session")
def helm():
    """Helm, built where Go is at hand."""
    return Helm(helm_command())
