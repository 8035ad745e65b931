"""Rules of the house that no linter knows."""

import ast
import operator
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [p for part in ("core", "runner", "operator", "cli") for p in (ROOT / part).rglob("*.py")]
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def functions(path):
    tree = ast.parse(path.read_text())
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", TESTS, ids=lambda p: p.stem)
def test_every_test_states_its_truth(path):
    """Each test has a docstring, so that a failure says what no longer holds."""
    silent = [f.name for f in functions(path) if f.name.startswith("test") and not ast.get_docstring(f)]
    assert silent == []


def test_test_files_have_names_of_their_own():
    """Pytest's default import mode needs file names that are unique over all folders."""
    names = [path.name for path in TESTS]
    assert sorted(names) == sorted(set(names))


def test_the_operator_folder_shadows_nothing():
    """`import operator` is the standard library's, and our folder of that name never becomes a package."""
    assert Path(operator.__file__).is_relative_to(sysconfig.get_path("stdlib"))
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not list((ROOT / "operator").rglob("conftest.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_why_it_exists(path):
    """Each module opens with a line about its purpose, and none grows beyond 600 lines."""
    assert ast.get_docstring(ast.parse(path.read_text()))
    assert path.read_text().count("\n") <= 600


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_is_caught_blindly(path):
    """No handler keeps everything, but those that raise it again: an error's type says who must act."""
    handlers = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ExceptHandler)]
    kept = [h for h in handlers if ast.unparse(h.body[-1]) != "raise"]
    broad = [h.lineno for h in kept if h.type is None or ast.unparse(h.type) in {"Exception", "BaseException"}]
    marked = [n for n, line in enumerate(path.read_text().splitlines(), 1) if re.search(r"noqa: BLE001 - \w", line)]
    assert [n for n in broad if n not in marked] == []


def test_the_tree_is_portable():
    """No tracked file names a folder of somebody's machine."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = [n for n in listed.stdout.splitlines() if n.endswith((".py", ".md", ".yaml", ".toml", ".lock", "Makefile"))]
    here = Path(__file__).relative_to(ROOT).as_posix()
    found = [
        n
        for n in names
        if n != here and (ROOT / n).is_file() and re.search(r"/(root|home|work)/", (ROOT / n).read_text())
    ]
    assert found == []
