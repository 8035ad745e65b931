"""Manifests, what they refer to, and changes to them, read as a whole."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgate_cli.bundle import Bundle, build
from loadgate_cli.credentials import Credential
from loadgate_cli.diagnostics import render
from loadgate_cli.overrides import parse
from loadgate_cli.sources import Source
from loadgate_cli.terminal import Paint

TEST = """\
apiVersion: loadgate.dev/v1alpha1
kind: LoadTest
metadata: {name: a}
spec:
  target: {url: "http://127.0.0.1:1"}
  scenarios:
  - {name: s, executor: constant-vus, vus: 1, duration: 1s, STEPS}
"""
STEPS = "steps: [{request: {url: /}}]"
PLAIN = TEST.replace("STEPS", STEPS)
SCRIPT = TEST.replace("STEPS", "script: {configMapKeyRef: {name: journeys, key: j.py}}")
SECRET = PLAIN + "  secrets: {password: {secretKeyRef: {name: user, key: pw}}}\n"
BUDGETED = PLAIN + "  budgets: [{name: shop}]\n"
BUDGET = """\
apiVersion: loadgate.dev/v1alpha1
kind: PerformanceBudget
metadata: {name: shop}
spec: {errorRate: {"*": {max: 1%}}}
"""


def read(*texts: str, folder: Path = Path("/nowhere"), **options: object) -> Bundle:
    """A bundle of manifests that lie in a folder."""
    return build([Source(f"f{i}.yaml", text, folder) for i, text in enumerate(texts)], **options)  # type: ignore[arg-type]


def messages(bundle: Bundle) -> list[str]:
    """Every fault as text."""
    return [f"{fault.path}: {fault.message}" for fault in bundle.all_faults]


def test_sound_manifests_are_ready_to_apply():
    """What others refer to comes first."""
    bundle = read(BUDGETED, BUDGET)
    assert messages(bundle) == []
    assert [raw["kind"] for raw in bundle.objects] == ["PerformanceBudget", "LoadTest"]


def test_same_object_twice_is_a_fault():
    """Two manifests of one name contradict each other."""
    bundle = read(PLAIN, PLAIN)
    assert ["twice" in message for message in messages(bundle)] == [True]
    assert bundle.all_faults[0].file == "f1.yaml"


def test_missing_budget_is_a_fault_at_its_place():
    """A budget that the test names must be given."""
    (fault,) = read(BUDGETED).all_faults
    assert (fault.path, fault.line) == ("spec.budgets[0].name", 8)


def test_missing_secret_names_the_ways_to_give_it():
    """A secret that nobody gave is told with what to do."""
    (fault,) = read(SECRET).all_faults
    assert fault.path == "spec.secrets.password.secretKeyRef.name"
    assert "--secret password=@FILE" in fault.hint


PODS = (
    PLAIN
    + """\
  runners:
    env: [{name: A, valueFrom: {configMapKeyRef: {name: words, key: a, OPTIONAL}}}]
    volumes:
    - {name: rows, configMap: {name: shop-rows, OPTIONAL}}
    - {name: keys, secret: {secretName: keys, items: [{key: k, path: k}], OPTIONAL}}
    volumeMounts: [{name: rows, mountPath: /rows}, {name: keys, mountPath: /keys}]
"""
)


def test_what_pods_are_made_of_must_be_given():
    """A ConfigMap or Secret that a variable or a volume of the runners names is looked for, unless it is optional."""
    bundle = read(PODS.replace("OPTIONAL", "optional: false"))
    assert [(fault.path, fault.line) for fault in bundle.all_faults] == [
        ("spec.runners.env[0].valueFrom.configMapKeyRef.name", 9),
        ("spec.runners.volumes[0].configMap.name", 11),
        ("spec.runners.volumes[1].secret.secretName", 12),
    ]
    assert messages(read(PODS.replace("OPTIONAL", "optional: true"))) == []


def test_a_folder_stands_for_a_volumes_config_map(tmp_path: Path):
    """A volume of a ConfigMap is the folder of that name beside the test, all files in it; a key that isn't in it is a fault."""
    (tmp_path / "shop-rows").mkdir()
    (tmp_path / "shop-rows" / "a.csv").write_text("a\n1\n")
    bundle = read(PODS.replace("OPTIONAL", "optional: true"), folder=tmp_path)
    assert [raw["data"] for raw in bundle.objects if raw["kind"] == "ConfigMap"] == [{"a.csv": "a\n1\n"}]
    with_items = PODS.replace("{name: shop-rows, OPTIONAL}", "{name: shop-rows, items: [{key: a.cvs, path: a}]}")
    (fault,) = read(with_items.replace("OPTIONAL", "optional: true"), folder=tmp_path).all_faults
    assert (fault.path, fault.hint) == ("spec.runners.volumes[0].configMap.items[0].key", "did you mean a.csv?")


def test_given_secret_becomes_an_object():
    """`--secret` makes the Secret that the test refers to."""
    bundle = read(SECRET, credentials={"password": Credential("password", "x")})
    assert messages(bundle) == []
    assert bundle.objects[0]["stringData"] == {"pw": "x"}


def test_given_secret_wins_over_the_manifests():
    """`--secret` replaces one key of a Secret and leaves the others."""
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: user}\nstringData: {pw: old, other: kept}\n"
    bundle = read(SECRET, secret, credentials={"password": Credential("password", "new")})
    assert bundle.objects[0]["stringData"] == {"pw": "new", "other": "kept"}


def test_secret_without_the_key_is_a_fault():
    """A Secret that is there may still lack the key."""
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: user}\nstringData: {pwd: x}\n"
    (fault,) = read(SECRET, secret).all_faults
    assert "no key 'pw'" in fault.message
    assert "pwd" in fault.hint


def test_unknown_secret_option_is_a_fault():
    """A misspelt `--secret` isn't silently ignored."""
    credentials = {name: Credential(name, "x") for name in ("password", "pasword")}
    (fault,) = read(SECRET, credentials=credentials).all_faults
    assert (fault.path, fault.hint) == ("pasword", "did you mean password?")


def test_config_map_is_made_of_a_folder(tmp_path: Path):
    """A folder of the ConfigMap's name beside the manifest stands for it."""
    (tmp_path / "journeys").mkdir()
    (tmp_path / "journeys" / "j.py").write_text("async def journey(user): pass\n")
    (tmp_path / "journeys" / "photo.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "journeys" / ".hidden").write_text("")
    bundle = read(SCRIPT, folder=tmp_path)
    assert messages(bundle) == []
    config_map = bundle.objects[0]
    assert config_map["metadata"] == {"name": "journeys", "namespace": "default"}
    assert list(config_map["data"]) == ["j.py"]
    assert list(config_map["binaryData"]) == ["photo.jpg"]


def test_config_map_among_the_manifests_wins_over_a_folder(tmp_path: Path):
    """What is written down counts."""
    (tmp_path / "journeys").mkdir()
    given = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: journeys}\ndata: {j.py: "async def journey(u): ..."}\n'
    bundle = read(SCRIPT, given, folder=tmp_path)
    assert messages(bundle) == []
    assert len(bundle.objects) == 2


def test_missing_config_map_names_the_folder():
    """A ConfigMap that nobody gave is told with what to do."""
    (fault,) = read(SCRIPT).all_faults
    assert fault.path == "spec.scenarios[0].script.configMapKeyRef.name"
    assert "a folder journeys/ beside this file with a file j.py" in fault.hint


@pytest.mark.parametrize(
    ("script", "message", "line"),
    [
        ("async def journey(user)\n  pass", "not Python", 1),
        ("def journey(user): pass", "journey is not async", 1),
        ("\n\ndef other(): pass", "there is no journey in it", 1),
        ("x = 1\ny = (\n", "not Python", 2),
    ],
)
def test_script_is_checked_before_anything_runs(tmp_path: Path, script: str, message: str, line: int):
    """A Python journey that can't be one is a fault in the script's own file."""
    (tmp_path / "journeys").mkdir()
    path = tmp_path / "journeys" / "j.py"
    path.write_text(script)
    bundle = read(SCRIPT, folder=tmp_path)
    (fault,) = bundle.all_faults
    assert (fault.file, fault.line) == (str(path), line)
    assert message in fault.message
    assert bundle.texts[str(path)] == script


def test_folder_that_is_too_large_is_a_fault(tmp_path: Path):
    """A folder holds no more than a ConfigMap may."""
    (tmp_path / "journeys").mkdir()
    (tmp_path / "journeys" / "j.py").write_bytes(bytes(2 << 20))
    (fault,) = read(SCRIPT, folder=tmp_path).all_faults
    assert "more than 1 MiB" in fault.message


def test_override_changes_every_test():
    """`--set` reaches the model that runs."""
    bundle = read(PLAIN, changes=[parse("spec.scenarios[0].vus=7")])
    assert bundle.tests[0].spec.scenarios[0].vus == 7
    assert bundle.objects[0]["spec"]["scenarios"][0]["vus"] == 7


def test_override_that_makes_a_fault_is_blamed():
    """What `--set` broke is told of `--set`, not of the file."""
    (fault,) = read(PLAIN, changes=[parse("spec.scenarios[0].vus=many")]).all_faults
    assert (fault.file, fault.path) == ("--set", "spec.scenarios[0].vus")


def test_override_that_repairs_is_tried():
    """A field that the manifest has wrong can be set right."""
    wrong = PLAIN.replace("duration: 1s", "duration: 1")
    assert messages(read(wrong))
    assert messages(read(wrong, changes=[parse("spec.scenarios[0].duration=1s")])) == []


def test_faults_of_one_object_leave_the_others():
    """What is sound can be applied whatever is wrong beside it."""
    bundle = read(PLAIN, BUDGET.replace("1%", "2"))
    assert len(bundle.all_faults) == 1
    assert [raw["kind"] for raw in bundle.objects] == ["LoadTest"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nothing_that_is_typed_breaks_the_reading(data: st.DataObject):
    """However a manifest is mangled, its faults are found and shown, and nothing is raised."""
    text = data.draw(st.sampled_from([SECRET, BUDGETED, SCRIPT, BUDGET, f"{BUDGETED}---\n{BUDGET}"]))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 20, len(text))))
    typed = data.draw(st.text("{}[]:,-&*!|>'\"%@`\n\t\0 a1.#$", max_size=8) | st.text(max_size=4))
    mangled = text[:start] + typed + text[end:]
    bundle = read(mangled, changes=data.draw(st.sampled_from([[], [parse("spec.runners.count=2")]])))
    shown = render(bundle.all_faults, bundle.texts, Paint(io.StringIO()))
    assert bool(shown) == bool(bundle.all_faults)
