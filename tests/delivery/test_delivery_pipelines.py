"""The files for pipelines are what docs/delivery.md says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from test_delivery_schemas import FOREIGN

from loadgate.api.conditions import Phase
from loadgate.api.documents import load

ROOT = Path(__file__).parents[2]
FILES = ROOT / "examples/pipelines"


def workflow_template() -> dict[str, object]:
    spec = yaml.safe_load((FILES / "argo-workflows/workflow.yaml").read_text())["spec"]
    out: dict[str, object] = spec["templates"][0]["resource"]
    return out


def test_the_hook_of_argo_cd_is_a_valid_load_test():
    """The gate after a sync can be applied as it is."""
    (document,) = load((FILES / "argocd/post-sync.yaml").read_text(), "post-sync.yaml")
    assert document.kind == "LoadTest"
    assert document.faults == []


def test_the_workflow_makes_a_valid_load_test():
    """The manifest inside the workflow is valid once the API server has given it a name."""
    text = str(workflow_template()["manifest"]).replace("generateName: gate-", "name: gate-x")
    (document,) = load(text, "gate.yaml")
    assert document.faults == []


def test_the_workflow_ends_in_every_final_phase():
    """No final phase is in neither condition, or the workflow would wait for ever; and none is in both."""
    template = workflow_template()
    good, bad = str(template["successCondition"]), str(template["failureCondition"])
    for phase in Phase:
        assert ((phase in good) + (phase in bad)) == phase.is_final
    assert "Passed" in good


@pytest.mark.parametrize("path", sorted(FILES.rglob("*.*")), ids=lambda path: path.name)
def test_the_documentation_names_each_file(path: Path):
    """Every file is linked from the page, by the path that it has."""
    assert f"(../{path.relative_to(ROOT)})" in (ROOT / "docs/delivery.md").read_text()


def test_every_file_of_another_projects_kind_is_judged() -> None:
    """A file that is added is either judged by its project's definition or is a LoadTest of our own."""
    kinds = {
        path.relative_to(FILES).as_posix(): yaml.safe_load(path.read_text())["apiVersion"]
        for path in FILES.rglob("*.yaml")
    }
    assert {name for name, version in kinds.items() if not version.startswith("loadgate.dev/")} == set(FOREIGN)
