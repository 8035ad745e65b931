"""The CRDs: what the API server demands of them, and that they say what the models say."""

import json
import re
from pathlib import Path

import pytest
import yaml
from api_manifests import budget, loadtest

from loadgate.api.crds import MAX_BYTES, crds, drift, dump, main, write
from loadgate.api.names import PATTERNS
from loadgate.api.scenarios import EXECUTORS
from loadgate.api.validate import validate_budget, validate_loadtest

REPOSITORY = Path(__file__).parents[2]
OPEN = "x-kubernetes-preserve-unknown-fields"
RULES = "x-kubernetes-validations"
VALUE_KEYS = {"required", "not", "anyOf"}


def schema(name):
    """The whole schema of a CRD."""
    (version,) = crds()[name]["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def nodes(node, path=""):
    """Every schema within a schema, with where it stands."""
    yield path, node
    for name, part in node.get("properties", {}).items():
        yield from nodes(part, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from nodes(node[key], f"{path}.{key}")


EXAMPLES = sorted((REPOSITORY / "examples").rglob("*.yaml"))
VALIDATED = {
    "LoadTest": ("loadtests.yaml", validate_loadtest),
    "PerformanceBudget": ("performancebudgets.yaml", validate_budget),
}
ALL = [pytest.param(name, id=name.removesuffix(".yaml")) for name in crds()]


@pytest.mark.parametrize("name", ALL)
def test_schemas_are_structural(name):
    """Every part has a type or is left open, and nothing that the API server refuses is used."""
    for path, node in nodes(schema(name)):
        assert "type" in node or node.get(OPEN) or node.get("x-kubernetes-int-or-string"), path
        assert not {"$ref", "oneOf", "anyOf", "title", "const", "propertyNames", "patternProperties"} & set(node), path
        assert node.get("type") != "array" or "items" in node, path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert set(node.get("not", {})) <= {"anyOf"}, path
        assert "default" not in node or node["default"] is not None, path


@pytest.mark.parametrize("name", ALL)
def test_every_field_is_described(name):
    """`kubectl explain` has words for each field."""
    for path, node in nodes(schema(name)):
        for field, part in node.get("properties", {}).items():
            if (path, field) != ("", "metadata"):
                assert part.get("description"), f"{path}.{field}"


@pytest.mark.parametrize("name", ALL)
def test_lists_maps_and_ruled_texts_are_bounded(name):
    """What CEL may walk through has a bound, or the API server's cost estimate would refuse the CRD."""
    for path, node in nodes(schema(name)["properties"]["spec"], "spec"):
        if node.get("type") == "array" and not path.endswith(("steps", "then", "else")):
            assert "maxItems" in node, path
        if "additionalProperties" in node and "responseTime" not in path:
            assert "maxProperties" in node, path


@pytest.mark.parametrize("name", ALL)
def test_rules_have_messages_and_name_real_fields(name):
    """Each CEL rule says what is wrong, and looks only at fields that its object has."""
    for path, node in nodes(schema(name)):
        for rule in node.get(RULES, ()):
            assert rule["message"], path
            for field in re.findall(r"self\.(\w+)(?!\()\b", rule["rule"]):
                if field not in ("all", "exists"):
                    assert field.strip("_") in node["properties"], f"{path}: {rule}"


def test_each_executor_says_what_it_takes():
    """For each field that not all executors take, and for each that one needs, there is a rule."""
    scenario = schema("loadtests.yaml")["properties"]["spec"]["properties"]["scenarios"]["items"]
    messages = [rule["message"] for rule in scenario[RULES]]
    assert scenario["required"] == ["name", "executor"]
    assert scenario["properties"]["executor"]["enum"] == list(EXECUTORS)
    assert "startVUs is only for ramping-vus" in messages
    assert "constant-arrival-rate needs rate" in messages
    assert "constant-vus and constant-arrival-rate need duration" in messages
    assert "give exactly one of steps and script" in messages
    assert "default" not in scenario["properties"]["vus"]
    assert scenario["properties"]["gracefulStop"]["default"] == "30s"
    assert len(messages) == len(set(messages))


def test_steps_within_steps_are_left_open():
    """A schema can't contain itself: the first level is described, those below are the operator's to judge."""
    step = schema("loadtests.yaml")["properties"]["spec"]["properties"]["setup"]["properties"]["steps"]["items"]
    inner = step["properties"]["group"]["properties"]["steps"]["items"]
    assert inner["type"] == "object"
    assert inner[OPEN]
    assert step["properties"]["request"]["properties"]["url"]["type"] == "string"


def test_lists_are_merged_by_their_keys():
    """Server-side apply tells scenarios, budgets, conditions and endpoints apart by name."""
    spec, status = (schema("loadtests.yaml")["properties"][part]["properties"] for part in ("spec", "status"))
    for node, key in (
        (spec["scenarios"], "name"),
        (spec["budgets"], "name"),
        (status["conditions"], "type"),
        (status["endpoints"], "name"),
        (status["history"], "number"),
    ):
        assert node["x-kubernetes-list-type"] == "map"
        assert node["x-kubernetes-list-map-keys"] == [key]
        assert key in node["items"]["required"]
    assert spec["tolerateDoubts"]["x-kubernetes-list-type"] == "set"


@pytest.mark.parametrize("name", ALL)
def test_an_unseen_object_is_not_current(name):
    """A status that nobody wrote says generation -1, so that kstatus doesn't take it for done."""
    assert schema(name)["properties"]["status"]["default"] == {"observedGeneration": -1}


def test_listings_show_what_people_look_for():
    """`kubectl get` shows the agreed columns, and the short names and the category work."""
    test, limits = crds()["loadtests.yaml"], crds()["performancebudgets.yaml"]
    columns = test["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [column["name"] for column in columns if not column.get("priority")] == [
        "Phase",
        "Reason",
        "Runners",
        "Requests/s",
        "p95",
        "Failed",
        "Age",
    ]
    assert [column["name"] for column in columns if column.get("priority")] == ["Run", "Budgets", "Target"]
    assert test["spec"]["names"]["shortNames"] == ["lt"]
    assert limits["spec"]["names"]["shortNames"] == ["pb"]
    assert test["spec"]["names"]["categories"] == ["loadgate"]
    assert test["metadata"]["name"] == "loadtests.loadgate.dev"
    assert test["spec"]["versions"][0]["subresources"] == {"status": {}}


def fill(node, value):
    """The value with the defaults that the API server would fill in."""
    if isinstance(value, dict):
        properties = node.get("properties", {})
        filled = {name: part["default"] for name, part in properties.items() if "default" in part and name not in value}
        inner = {**filled, **value}
        parts = {name: properties.get(name, node.get("additionalProperties", {})) for name in inner}
        return {name: fill(parts[name], item) for name, item in inner.items()}
    return [fill(node.get("items", {}), item) for item in value] if isinstance(value, list) else value


def test_the_api_servers_defaults_are_the_models():
    """An object that comes back from the API server with its defaults means what the manifest meant."""
    for raw in (loadtest(), budget()):
        name, validate = VALIDATED[raw["kind"]]
        filled = {**raw, "spec": fill(schema(name)["properties"]["spec"], raw["spec"])}
        assert validate(filled).spec == validate(raw).spec
    assert filled["spec"]["enforcement"] == "Fail"
    assert fill(schema("loadtests.yaml")["properties"]["spec"], {})["runners"]["count"] == 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_means_the_same_with_the_api_servers_defaults(path):
    """What a rule objects to is what someone wrote, and no default that the API server filled in."""
    for raw in yaml.safe_load_all(path.read_text()):
        if raw["kind"] in VALIDATED:
            name, validate = VALIDATED[raw["kind"]]
            filled = {**raw, "spec": fill(schema(name)["properties"]["spec"], raw["spec"])}
            assert validate(filled).spec == validate(raw).spec


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_patterns_stand_in_rules_unharmed(pattern):
    """A pattern that is quoted in a rule must hold no quote and no backslash that CEL would read."""
    assert "'" not in pattern
    if any(f"key.matches('{pattern}')" in dump(document) for document in crds().values()):
        assert "\\" not in pattern


@pytest.mark.parametrize("name", ALL)
def test_crds_are_small_and_plain_yaml(name):
    """Each is under 200 kB as JSON, and as YAML without aliases, and reads back as what it was."""
    text = dump(crds()[name])
    assert len(json.dumps(crds()[name]).encode()) < MAX_BYTES
    assert yaml.safe_load(text) == crds()[name]
    assert not re.search(r"[:-] [&*]\w", text)


def test_the_repositorys_crds_are_what_the_models_say():
    """`crds/` drifts from the models only until this fails: run `make crds`."""
    assert drift(REPOSITORY / "crds") == []


def test_drift_is_named(tmp_path, capsys):
    """A changed, a missing and a foreign file are each named in a line of their own, with exit code 1."""
    assert main([str(tmp_path / "new")]) == 0
    assert main(["--check", str(tmp_path / "new")]) == 0
    assert capsys.readouterr().err == ""
    write(tmp_path)
    (tmp_path / "loadtests.yaml").write_text("kind: Other\n")
    (tmp_path / "performancebudgets.yaml").unlink()
    (tmp_path / "others.yaml").write_text("")
    assert main(["--check", str(tmp_path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"{tmp_path}/loadtests.yaml is not what the models say: run `make crds`",
        f"{tmp_path}/performancebudgets.yaml is missing: run `make crds`",
        f"{tmp_path}/others.yaml belongs to no resource",
    ]
