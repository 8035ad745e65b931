"""docs/resources.md: its tables are the models', its links lead somewhere, its examples are valid."""

import re
from pathlib import Path

import pydantic
import pytest
import yaml

from loadgate.api.base import manifest_names
from loadgate.api.budget import PerformanceBudgetSpec
from loadgate.api.documents import load
from loadgate.api.loadtest import LoadTestSpec
from loadgate.api.reference import fill, main
from loadgate.api.status import BudgetStatus, LoadTestStatus
from loadgate.api.steps import Step

DOCUMENT = Path(__file__).parents[2] / "docs" / "resources.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def test_tables_are_what_the_models_say(capsys):
    """The document drifts from the models only until this fails: run `python -m loadgate.api.reference` on it."""
    assert main(["--check", str(DOCUMENT)]) == 0
    assert capsys.readouterr().err == ""


def test_drift_is_named_and_mended(tmp_path, capsys):
    """A table that says something else is named, with exit code 1, and rewritten on demand."""
    copy = tmp_path / "resources.md"
    copy.write_text("# Title\n<!-- fields: Stage -->\n| old |\n<!-- end -->\nprose\n", encoding="utf-8")
    assert main(["--check", str(copy)]) == 1
    assert str(copy) in capsys.readouterr().err
    assert main([str(copy)]) == 0
    assert main(["--check", str(copy)]) == 0
    written = copy.read_text(encoding="utf-8")
    assert written.startswith("# Title\n<!-- fields: Stage -->\n| field | type | default | |\n")
    assert "| `duration` | duration | *required* |" in written
    assert written.endswith("<!-- end -->\nprose\n")


def test_an_unknown_table_is_an_error():
    """A marker for a model that isn't there can't be filled."""
    with pytest.raises(KeyError):
        fill("<!-- fields: Nothing -->\n<!-- end -->")


def test_every_link_within_the_document_leads_to_a_heading():
    """A model's link goes to its own section."""
    headings = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings


def test_every_model_has_its_table():
    """Whatever may be written in a manifest or read in a status is in the reference."""
    definitions = {
        name
        for model in (LoadTestSpec, PerformanceBudgetSpec, LoadTestStatus, BudgetStatus)
        for name in (*model.model_json_schema(by_alias=True).get("$defs", {}), model.__name__)
    }
    tables = set(re.findall(r"<!-- (?:fields|own|constants): (\w+) -->", TEXT))
    assert definitions - tables <= {"ConditionStatus"}


def test_whole_examples_are_valid():
    """Each manifest in the document has no fault."""
    manifests = [block for block in BLOCKS if block.startswith("apiVersion")]
    assert len(manifests) == 2
    for manifest in manifests:
        (document,) = load(manifest)
        assert document.faults == []


@pytest.mark.parametrize("block", [block for block in BLOCKS if not block.startswith("apiVersion")])
def test_parts_of_examples_have_the_right_shape(block):
    """The shorter examples are parts of a spec that the models accept."""
    if block.startswith("status:"):
        assert set(yaml.safe_load(block)["status"]) <= set(manifest_names(LoadTestStatus).values())
        return
    part = yaml.safe_load(block)
    (name,) = part
    if name == "steps":
        pydantic.TypeAdapter(list[Step]).validate_python(part["steps"])
    elif name == "script":
        assert set(part["script"]) == {"configMapKeyRef"}
    else:
        annotation = LoadTestSpec.model_fields[name]
        pydantic.TypeAdapter(annotation.annotation).validate_python(part[name])
