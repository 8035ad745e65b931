"""The commands that start nothing, as a user calls them."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from loadgate_cli.main import LAZY, cli

SMOKE = str(Path(__file__).parents[2] / "examples" / "smoke.yaml")
BAD = """\
apiVersion: loadgate.dev/v1alpha1
kind: LoadTest
metadata: {name: bad}
spec:
  target: {url: "http://h"}
  scenarios:
  - name: s
    executor: constant-vus
    duration: 5
    colour: red
    steps: [{request: {url: "/${nobody}"}}]
"""


def call(*arguments: str, stdin: str | None = None) -> Result:
    """What the command does with these arguments."""
    return CliRunner().invoke(cli, arguments, input=stdin, prog_name="loadgate")


@pytest.mark.parametrize("name", list(LAZY))
def test_every_command_has_help(name: str):
    """Each command in the table is there, and says what it does as the table does."""
    result = call(name, "--help")
    assert result.exit_code == 0
    assert result.output.split("\n\n")[1].split()[:2] == LAZY[name][1].split()[:2]


def test_help_lists_every_command():
    """`loadgate --help` names what there is."""
    output = call("--help").output
    assert all(f"  {name}" in output for name in LAZY)


def test_unknown_command_is_refused():
    """A misspelt command is answered with the one that was meant."""
    result = call("vlidate")
    assert result.exit_code == 2
    assert "Did you mean 'validate'?" in result.output


def test_validate_passes_what_is_valid():
    """Sound manifests: exit 0, each object named."""
    result = call("validate", SMOKE)
    assert result.exit_code == 0
    assert "LoadTest default/smoke is valid" in result.stdout


def test_validate_tells_every_fault_with_its_line():
    """All faults at once, each with its place."""
    result = call("validate", "-", stdin=BAD)
    assert result.exit_code == 2
    for place in ("<stdin>:9:", "<stdin>:10:", "<stdin>:11:"):
        assert place in result.stdout
    assert "3 faults" in result.stdout


def test_validate_as_data():
    """`-o json` is JSON, with path, line and message of each fault."""
    result = call("validate", "-", "-o", "json", stdin=BAD)
    assert result.exit_code == 2
    data = json.loads(result.stdout)
    assert data["valid"] is False
    assert {fault["path"] for fault in data["faults"]} >= {"spec.scenarios[0].duration", "spec.scenarios[0].colour"}
    assert data["objects"] == [
        {"kind": "LoadTest", "namespace": "default", "name": "bad", "file": "<stdin>", "valid": False}
    ]
    assert yaml.safe_load(call("validate", "-", "-o", "yaml", stdin=BAD).stdout) == data


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("validate", "/does/not/exist.yaml"), "can't be read: No such file"),
        (("plan", "-"), "there is no manifest in this file"),
        (("plan", SMOKE, "--set", "spec.scenarios[4].vus=1"), "beyond the list's end"),
        (("plan", SMOKE, "--set", "spec.scenarios[0].vus=-1"), "--set: spec.scenarios[0].vus"),
        (("plan", SMOKE, "--secret", "password=@/none"), "can't be read"),
        (("plan", SMOKE, "--secret", "password=x"), "no test has a secret of this name"),
        (("plan", SMOKE, "--runners", "0"), "is not in the range"),
        (("run", "/does/not/exist.yaml"), "nothing was started"),
        (("run", SMOKE, "--set", "spec.suspend=true"), "so that nothing would start"),
        (("run", SMOKE, "--out", "/dev/null/x"), "--out /dev/null/x"),
        (("run", SMOKE, "--out", "/proc/nowhere"), "nothing was started"),
        (("up", "/does/not/exist"), "does not exist"),
        (("up", "/tmp", "--listen", "nowhere"), "is not HOST:PORT"),
        (("report", "/does/not/exist"), "No such file"),
        (("report", SMOKE), "not a result document"),
        (("run",), "Missing argument"),
    ],
)
def test_invalid_input_exits_2(arguments: tuple[str, ...], message: str):
    """What can't be used is told, and nothing is started."""
    result = call(*arguments, stdin="")
    assert result.exit_code == 2
    assert message in result.output


def test_a_folder_without_manifests_is_told(tmp_path: Path):
    """An empty folder is a mistake."""
    assert "there is no manifest in this folder" in call("validate", str(tmp_path)).output


def test_a_file_that_is_no_text_is_told(tmp_path: Path):
    """A manifest is UTF-8."""
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: 1\n\xff")
    result = call("validate", str(path))
    assert f"{path}:2: is not UTF-8 text" in result.output


def test_only_budgets_are_no_test(tmp_path: Path):
    """There is no plan without a LoadTest."""
    path = tmp_path / "b.yaml"
    path.write_text(
        "apiVersion: loadgate.dev/v1alpha1\nkind: PerformanceBudget\nmetadata: {name: b}\nspec: {throughput: {'*': {min: 1}}}\n"
    )
    assert "there is no LoadTest" in call("plan", str(path)).output
    assert call("validate", str(path)).exit_code == 0


def test_plan_tells_what_will_be():
    """Curve, duration, expectation, shares and limits, and `--runners` divides."""
    output = call("plan", SMOKE, "--runners", "2", "--set", "spec.scenarios[0].vus=3").stdout
    for text in (
        "LoadTest default/smoke on http://127.0.0.1:8080",
        "takes 30s",
        "█",
        "as many as the target answers",
        "runner 0  up to 2 VUs",
        "runner 1  up to 1 VU",
        "http_req_duration p(95)  < 500ms  threshold",
    ):
        assert text in output


def test_plan_fits_into_80_columns():
    """No line is wider than the terminal it was asked on."""
    assert max(map(len, call("plan", SMOKE).stdout.splitlines())) <= 80


def test_several_tests_have_several_plans():
    """A folder of examples is planned as a whole."""
    folder = Path(SMOKE).parent
    tests = sum(path.read_text().count("kind: LoadTest\n") for path in folder.glob("*.yaml"))
    assert call("plan", str(folder)).stdout.count("Judged by") == tests > 10


def test_crds_are_the_generated_ones(tmp_path: Path):
    """`crds` prints both definitions, and writes the same into a folder."""
    printed = list(yaml.safe_load_all(call("crds").stdout))
    assert [one["spec"]["names"]["kind"] for one in printed] == ["LoadTest", "PerformanceBudget"]
    assert call("crds", "--out", str(tmp_path / "a" / "b")).exit_code == 0
    assert [yaml.safe_load(path.read_text()) for path in sorted((tmp_path / "a" / "b").iterdir())] == printed
    assert call("crds", "--out", "/dev/null/x").exit_code == 2


def test_version_says_which():
    """A bug report needs it."""
    assert call("version").stdout.startswith("loadgate 0.")
    assert json.loads(call("version", "-o", "json").stdout).keys() == {"loadgate", "runner", "python", "platform"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_for_this_command(shell: str):
    """Each shell gets a script that asks loadgate."""
    assert "_LOADGATE_COMPLETE" in call("completion", shell).stdout


def test_completion_of_commands_imports_none(monkeypatch: pytest.MonkeyPatch):
    """Completing a command's name is answered from the table."""
    monkeypatch.setenv("COMP_WORDS", "loadgate va")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_LOADGATE_COMPLETE", "bash_complete")
    assert "plain,validate" in call().output
