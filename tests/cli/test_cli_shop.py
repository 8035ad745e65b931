"""The demo shop as the command starts it."""

import urllib.request
from pathlib import Path

import pytest

from loadgate_cli.shop import ShopError, examples, serving


def test_examples_are_found_in_the_repository_and_in_a_wheel(tmp_path: Path):
    """The shop lies beside the code when developed, and within the package when installed."""
    assert (examples() / "demo.yaml").is_file()
    package = tmp_path / "lib" / "loadgate_cli"
    (package / "examples" / "shop").mkdir(parents=True)
    (package / "examples" / "shop" / "__main__.py").touch()
    assert examples(package) == package / "examples"


def test_an_installation_without_the_shop_is_told(tmp_path: Path):
    """What is missing is named."""
    with pytest.raises(ShopError, match="the demo shop is missing from this installation"):
        examples(tmp_path / "lib" / "loadgate_cli")


@pytest.mark.processes
def test_a_shop_that_does_not_start_is_told(tmp_path: Path):
    """Its last words are the reason."""
    with pytest.raises(ShopError, match=r"doesn't start: .*No module named shop"), serving(tmp_path, "none"):
        pass


@pytest.mark.processes
def test_the_shop_serves_with_its_fault_and_is_gone_afterwards():
    """The block has a shop at its address, and nobody answers there when it is over."""
    with serving(examples(), "slow") as url, urllib.request.urlopen(f"{url}/faults", timeout=10) as answer:
        assert b'"latency": 0.7' in answer.read()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{url}/health", timeout=10)
