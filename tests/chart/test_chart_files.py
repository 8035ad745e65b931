"""The chart's files as they lie there: generated ones are up to date, values and schema are about the same things."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from chart_kit import CHART, ROOT

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
BOARDS = sorted((CHART / "dashboards").glob("*.json"))


def generate(*arguments):
    command = [sys.executable, "-m", "charts.generator", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_generated_files_are_what_the_code_says():
    """The chart's CRDs, its dashboards and its table of values are those that the generator writes."""
    done = generate("--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_unknown_part_is_refused():
    """The generator writes nothing for a part that it doesn't know."""
    assert generate("dashbords").returncode == 2


@pytest.mark.parametrize("name", ["loadtests.yaml", "performancebudgets.yaml"])
def test_the_charts_crds_are_those_at_the_top(name):
    """Between the chart's switches stands the very YAML of crds/."""
    template = (CHART / "templates" / "crds" / name).read_text()
    kept, skipping = [], False
    for line in template.splitlines(keepends=True):
        if "{{- if" in line and "keep" in line:
            skipping = True
        if not skipping and "{{" not in line:
            kept.append(line)
        if skipping and "{{- end }}" in line:
            skipping = False
    assert "".join(kept) == (ROOT / "crds" / name).read_text()


def schema_of(path):
    node = SCHEMA
    for part in path:
        node = resolve(node)["properties"][part]
    return resolve(node)


def resolve(node):
    return SCHEMA["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def closed_maps(values, path=()):
    """The paths of all maps whose keys are the chart's own."""
    yield path
    for key, value in values.items():
        if isinstance(value, dict) and schema_of((*path, key)).get("additionalProperties") is False:
            yield from closed_maps(value, (*path, key))


def test_values_and_schema_have_the_same_keys():
    """Every value is in the schema, and the schema has none that values.yaml doesn't show."""
    optional = {"global", "requests", "limits", "claims", "nodeAffinity", "podAffinity", "podAntiAffinity"}
    for path in closed_maps(VALUES):
        there = VALUES
        for part in path:
            there = there[part]
        assert set(there) ^ set(schema_of(path)["properties"]) <= optional, path


def test_the_chart_and_the_program_have_one_version():
    """The chart's appVersion, which names the images, is the version of the package."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE).group(1)
    assert (chart["appVersion"], chart["version"]) == (version, version)


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_panels_have_room_and_words(path):
    """Panels lie on Grafana's grid without overlapping, each with an id of its own and a description."""
    board = json.loads(path.read_text())
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    assert all(panel["description"] and panel["targets"] for panel in panels(board))


def test_each_dashboard_has_a_uid_of_its_own():
    """Dashboards find each other, and are replaced rather than doubled, by their uid."""
    uids = [json.loads(path.read_text())["uid"] for path in BOARDS]
    assert uids == ["loadgate-fleet", "loadgate-run"]
