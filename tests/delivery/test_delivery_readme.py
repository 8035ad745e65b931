"""README's "On a cluster", followed to the letter by someone who has nothing yet."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"<!-- tests/delivery runs these lines as they are -->\n```sh\n(.*?)```", re.DOTALL)
PORT = "19443"
ALSO = (
    "kubectl wait --for=condition=Passed loadtest/gate --timeout=1s",
    "kubectl loadgate wait gate",
    "kubectl get lt",
)
"""What the text around the commands says besides."""


def commands() -> list[str]:
    """The block's lines, each a command."""
    (block,) = BLOCK.findall((ROOT / "README.md").read_text())
    return str(block).splitlines()


def missing() -> str:
    """What this machine lacks for a control plane of its own; nothing where it can have one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubebox"
    if os.geteuid() != 0:
        return "tests/cluster runs containers, for which one must be root"
    if not shutil.which("go") and not list(cache.glob("kubebox-*")):
        return "there is no Go to build the control plane of tests/cluster with"
    return ""


@dataclass
class Done:
    """A command that was run, what it said, and how it ended."""

    command: str
    said: str
    code: int


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Done]]:
    """The commands, all in one shell as a reader has one, on a control plane that wasn't there before."""
    if lack := missing():
        pytest.skip(f"NO CLUSTER: {lack}")
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    environment |= {"CLUSTER_STATE": str(tmp_path_factory.mktemp("cluster")), "CLUSTER_PORT": PORT}
    steps = [*commands(), *ALSO]
    script = "".join(f'{step}\necho "--- {number} $?"\n' for number, step in enumerate(steps))
    try:
        output = subprocess.run(
            ["bash", "-c", script],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1500,
            check=False,
        ).stdout
        parts = re.split(r"^--- \d+ (\d+)\n", output, flags=re.MULTILINE)
        yield [Done(step, *pair) for step, *pair in zip(steps, parts[::2], map(int, parts[1::2]), strict=False)]
    finally:
        subprocess.run(["make", "cluster-down"], cwd=ROOT, env=environment, check=True, timeout=120)


def test_it_takes_under_ten_commands():
    """From nothing to a verdict and to a failed gate: each line of the block is one command."""
    assert len(commands()) < 10
    assert not [line for line in commands() if re.search(r"&&|[;|]", line.split(" # ")[0])]


def test_the_shop_runs_on_an_image_that_is_built():
    """The shop's Deployment names the operator's image as the chart and `make images` do."""
    chart = yaml.safe_load((ROOT / "charts/loadgate/Chart.yaml").read_text())
    values = yaml.safe_load((ROOT / "charts/loadgate/values.yaml").read_text())
    deployment = next(yaml.safe_load_all((ROOT / "examples/shop/service.yaml").read_text()))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{values['image']['repository']}:{chart['appVersion']}"
    sources = yaml.safe_load((ROOT / "examples/shop/kustomization.yaml").read_text())["configMapGenerator"][0]["files"]
    assert sorted(sources) == sorted(path.name for path in (ROOT / "examples/shop").glob("*.py"))


@pytest.mark.cluster
@pytest.mark.processes
@pytest.mark.timeout(1800)
def test_it_goes_from_nothing_to_a_verdict_and_to_a_failed_gate(followed: list[Done]):
    """Every command ends as it is said there: all with 0 but the wait for the limit that can't be held, with 1."""
    told = [(done.command.split("#")[0].strip(), done.code, done.said[-2000:]) for done in followed]
    waits = [done for done in followed if done.command.startswith("loadgate wait")]
    assert [done.code for done in waits] == [0, 1], told
    assert "gate  Passed  LimitsHeld" in waits[0].said
    assert "gate  Failed  ThresholdViolated" in waits[1].said
    codes = [done.code for done in followed if done not in waits]
    assert codes == [0] * (len(commands()) - 2) + [1, 1, 0], told


@pytest.mark.cluster
@pytest.mark.processes
def test_the_report_is_of_the_run_that_was_judged_again(followed: list[Done]):
    """It shows the broken limit, and that the first run's requests are what it was judged by."""
    (report,) = [done.said for done in followed if done.command.startswith("loadgate report")]
    assert "✗ Failed  default/gate, run 1" in report
    assert re.search(r"✗ http_req_duration p\(95\)\s+< 0.1ms", report)
    assert re.search(r"200 iterations   0 dropped", report)
