"""`report`, and what `--out` writes."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cli_samples import sample
from click.testing import CliRunner

from loadgate_cli import outputs
from loadgate_cli.main import cli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `--out` leaves."""
    outputs.check(tmp_path / "a" / "out")
    outputs.write(tmp_path / "a" / "out", sample())
    return tmp_path / "a" / "out"


def test_out_has_result_and_reports(folder: Path):
    """Result, HTML, JUnit and Markdown, and nothing else left behind."""
    assert sorted(path.name for path in folder.iterdir()) == [
        "junit.xml",
        "report.html",
        "result.json.zst",
        "summary.md",
    ]


def test_an_earlier_run_leaves_no_files_to_mistake(folder: Path):
    """Before a run its folder is rid of the last one's result, and of nothing else."""
    (folder / "notes.txt").write_text("mine")
    (folder / "logs").mkdir()
    (folder / "logs" / "default.demo-1-abcde-0-fghij.log").touch()
    outputs.check(folder)
    assert sorted(path.name for path in folder.rglob("*")) == ["logs", "notes.txt"]


def test_a_folder_that_is_full_keeps_the_old_files(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """A report that can't be written whole isn't written in part."""
    before = (folder / "report.html").read_bytes()
    monkeypatch.setattr(outputs, "HTML", "x" * 300)  # a name that no file system takes
    with pytest.raises(outputs.OutputError, match="--out"):
        outputs.write(folder, sample(limit="p(95)<1"))
    assert (folder / "report.html").read_bytes() == before
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("form", "holds"),
    [
        ("text", lambda text: "Passed" in text and "http_req_duration p(95)" in text),
        ("html", lambda text: text.lower().startswith("<!doctype html>")),
        ("junit", lambda text: ET.fromstring(text).tag == "testsuites"),
        ("md", lambda text: "| --- " in text or "|---" in text or "| :" in text),
        ("json", lambda text: json.loads(text)["verdict"]["outcome"] == "Passed"),
    ],
)
def test_each_form(folder: Path, form: str, holds: Callable[[str], bool]):
    """A stored result is rendered in each form, whether its file or its folder is named."""
    for name in (folder, folder / "result.json.zst"):
        done = CliRunner().invoke(cli, ["report", str(name), "-f", form])
        assert done.exit_code == 0
        assert holds(done.stdout)


def test_form_may_go_to_a_file(folder: Path, tmp_path: Path):
    """`--out` writes what would have been printed."""
    done = CliRunner().invoke(cli, ["report", str(folder), "-f", "json", "--out", str(tmp_path / "r.json")])
    assert (done.exit_code, done.stdout) == (0, "")
    assert CliRunner().invoke(cli, ["report", str(tmp_path / "r.json")]).exit_code == 0


def test_report_reads_standard_input(folder: Path):
    """A result may come through a pipe."""
    done = CliRunner().invoke(cli, ["report", "-"], input=(folder / "result.json.zst").read_bytes())
    assert done.exit_code == 0
    assert "default/smoke" in done.stdout
