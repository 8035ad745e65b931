"""The shop as a process of its own."""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = [sys.executable, "-m", "shop", "--port", "0", "--with-parent"]

pytestmark = pytest.mark.processes


@pytest.fixture
def shop() -> Iterator[subprocess.Popen[str]]:
    """A shop on a free port, told to end with us."""
    with subprocess.Popen(
        COMMAND, cwd=EXAMPLES, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def address(shop: subprocess.Popen[str]) -> str:
    """Where it says that it listens."""
    assert shop.stdout is not None
    return shop.stdout.readline().split()[-1]


def test_serves_until_its_parent_is_gone(shop: subprocess.Popen[str]):
    """The shop says where it listens, answers there, and ends when its standard input closes."""
    with urllib.request.urlopen(f"{address(shop)}/health", timeout=10) as answer:
        assert answer.status == 200
    assert shop.stdin is not None
    shop.stdin.close()
    assert shop.wait(10) == 0


def test_stops_at_sigterm(shop: subprocess.Popen[str]):
    """SIGTERM is an orderly end."""
    address(shop)
    shop.terminate()
    assert shop.wait(10) == 0


def test_port_in_use_is_told(shop: subprocess.Popen[str]):
    """A second shop on the same port says so and exits 1."""
    port = address(shop).rpartition(":")[2]
    second = subprocess.run(
        [sys.executable, "-m", "shop", "--port", port],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in second.stderr
