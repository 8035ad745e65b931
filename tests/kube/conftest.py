"""Fixtures for tests on a real cluster; where there is none it is said loudly, and they are left out."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from kube_cluster import ROOT, Kube, NoClusterError, down, find, namespaces
from kube_stage import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = namespaces()
_left_out: list[str] = []


@pytest.fixture(scope="session")
def kube() -> Iterator[Kube]:
    """The cluster, with loadgate's definitions."""
    try:
        cluster = find()
    except NoClusterError as error:
        _left_out.append(str(error))
        pytest.skip(f"NO CLUSTER: {error}")
    try:
        cluster.run("apply", "-f", str(ROOT / "crds"))
        cluster.run("wait", "--for=condition=Established", "crd/loadtests.loadgate.dev", "--timeout=30s")
        yield cluster
    finally:
        down(cluster)


@pytest.fixture
def namespace(kube: Kube) -> Iterator[str]:
    """A namespace of the test's own, under the strictest pod security."""
    name = next(_NAMES)
    kube.run("create", "namespace", name)
    kube.run("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    kube.until(lambda: kube.get("serviceaccount", "default", "-n", name))
    yield name
    kube.run("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def target() -> Iterator[str]:
    """A server that answers at once."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested is not to be overlooked."""
    if _left_out:
        terminalreporter.section("LEFT OUT: all tests on a real cluster", red=True, bold=True)
        terminalreporter.write_line(_left_out[0], red=True)
