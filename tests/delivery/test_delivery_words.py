"""Every call of `loadgate` that a document or a pipeline's file tells someone to make is one that it takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from loadgate_cli.main import cli

ROOT = Path(__file__).parents[2]
TASK = yaml.safe_load((ROOT / "examples/pipelines/tekton/task.yaml").read_text())
CHART = yaml.safe_load((ROOT / "charts/loadgate/values.yaml").read_text())
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("*.y*ml"))]
CALL = re.compile(r"^(?:#?\s*)(?:exec )?(?:kubectl )?loadgate (?=[a-z-])(.+)$")
FENCE = re.compile(r"^```\w*\n(.*?)^```$|^((?: {4}.*\n)+)", re.DOTALL | re.MULTILINE)


def calls() -> list[tuple[str, str]]:
    """(file, what follows `loadgate`) of every line of code that begins with it."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text()
        blocks = ["".join(pair) for pair in FENCE.findall(text)] if path.suffix == ".md" else [text]
        lines = (line.strip() for block in blocks for line in block.splitlines())
        found += [(path.name, match[1]) for line in lines if (match := CALL.match(line))]
    return found


def taken(text: str) -> click.Context:
    """Parse it as the command does, without doing anything. Raises click.UsageError."""
    values = {param["name"].upper(): param.get("default", "checkout") for param in TASK["spec"]["params"]}
    text = re.sub(r"\$(\w+)", lambda name: values[name[1]], text)
    name, *arguments = shlex.split(text.partition(" | ")[0], comments=True)
    command = cli.get_command(click.Context(cli), name)
    if command is None:
        raise click.UsageError(f"there is no command {name!r}")
    return command.make_context(name, arguments)


@pytest.mark.parametrize(("where", "text"), calls(), ids=[f"{where}: {text[:50]}" for where, text in calls()])
def test_a_call_that_is_told_of_is_taken(where: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its command is there, and takes these arguments and options."""
    (tmp_path / "manifests").mkdir()
    monkeypatch.chdir(tmp_path)
    assert taken(text)


def test_the_calls_are_found():
    """Those of the README, of the documents, of examples and of Tekton's script are among them."""
    texts = {text for _, text in calls()}
    assert 'wait "$NAME" --timeout "$TIMEOUT"' in texts
    assert {where for where, _ in calls()} >= {"README.md", "delivery.md", "smoke.yaml", "task.yaml"}


@pytest.mark.parametrize("text", ["wait", "wait checkout --timout 3m", "wait checkout --timeout soon", "weit checkout"])
def test_a_slip_would_be_found(text: str):
    """What the command doesn't take is an error here, too."""
    with pytest.raises(click.UsageError):
        taken(text)


def test_tekton_ends_with_the_code_of_wait():
    """The script is a shell's, ends at its first error, and its last word is `loadgate wait` itself."""
    (step,) = TASK["spec"]["steps"]
    lines = step["script"].splitlines()
    assert lines[0] == "#!/bin/sh"
    assert lines[1] == "set -eu"
    assert lines[-1].startswith("exec loadgate wait ")
    given = {entry["name"] for entry in step["env"]}
    assert set(re.findall(r"\$(\w+)", step["script"])) == given
    named = {param["name"] for param in TASK["spec"]["params"]}
    assert set(re.findall(r"\$\(params\.(\w+)\)", str(step))) == named


def test_images_that_are_named_are_the_charts():
    """No document tells someone to pull an image that this project doesn't build."""
    ours = {CHART["image"]["repository"], CHART["runners"]["image"]["repository"]}
    named = {name for path in DOCUMENTS for name in re.findall(r"\b(loadgate/[a-z-]+)(?=:\S| \. )", path.read_text())}
    assert named <= ours
