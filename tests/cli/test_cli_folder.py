"""A folder of manifests made so in a cluster, and what is kept of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_samples import sample

from loadgate_cli.folder import Folder
from loadgate_cli.keeping import Keeper
from loadgate_cli.watching import STATE, fingerprint
from loadgate_operator.cluster.port import Key, Kind, RefusedError

TEST = """\
apiVersion: loadgate.dev/v1alpha1
kind: LoadTest
metadata: {name: NAME}
spec:
  target: {url: "http://127.0.0.1:1"}
  scenarios:
  - {name: s, executor: constant-vus, vus: 1, duration: 1s, steps: [{request: {url: /}}]}
"""
KEY = Key(Kind.LOAD_TEST, "default", "a")


class Cluster:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def apply(self, objects: list[dict[str, Any]]) -> None:
        """Note the names; one called "huge" is refused."""
        if objects[0]["metadata"]["name"] == "huge":
            raise RefusedError("it is too large")
        self.asked += [f"+{obj['metadata']['name']}" for obj in objects]

    def recall(self, obj: dict[str, Any], status: dict[str, Any], result: object) -> None:
        """Note the name, and the run that it is taken up from."""
        self.asked.append(f"~{obj['metadata']['name']} {status['run']['number']} {result is not None}")

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Note the name."""
        self.asked.append(f"-{name}")


class Setting:
    """A folder, a cluster, and what was said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cluster = Cluster()
        self.told: list[str] = []
        self.keeper = Keeper(path / STATE, self.told.append)
        self.folder = Folder(path, self.cluster, self.told.append, self.keeper.earlier)

    def write(self, name: str, text: str | None = None) -> None:
        """A test of that name in a file of that name, or another text."""
        (self.path / f"{name}.yaml").write_text(text if text is not None else TEST.replace("NAME", name))

    async def asked(self) -> list[str]:
        """What one sync asks of the cluster."""
        self.cluster.asked.clear()
        self.bundle = await self.folder.sync()
        return list(self.cluster.asked)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    """An empty folder."""
    return Setting(tmp_path)


async def test_only_what_changed_is_applied(setting: Setting):
    """A new manifest is applied, an unchanged one left alone, one that went deleted."""
    setting.write("a")
    setting.write("b")
    assert await setting.asked() == ["+a", "+b"]
    assert await setting.asked() == []
    setting.write("a", TEST.replace("NAME", "a").replace("vus: 1", "vus: 2"))
    assert await setting.asked() == ["+a"]
    (setting.path / "b.yaml").unlink()
    assert await setting.asked() == ["-b"]
    assert setting.told[-2:] == ["LoadTest a has changed", "LoadTest b is gone"]


@pytest.mark.parametrize("broken", ["{", TEST.replace("NAME", "a").replace("vus: 1", "vus: none"), "\xff" * 3])
async def test_a_faulty_manifest_takes_nothing_away(setting: Setting, broken: str):
    """What runs goes on while its file is being edited, and the rest is applied."""
    setting.write("a")
    await setting.asked()
    (setting.path / "a.yaml").write_text(broken, encoding="latin-1")
    setting.write("b")
    assert await setting.asked() == ["+b"]
    assert setting.bundle.all_faults
    setting.write("a")
    assert await setting.asked() == []


async def test_what_the_cluster_refuses_keeps_nothing_else_back(setting: Setting):
    """One object that no cluster takes is a fault; the others are applied."""
    setting.write("huge")
    setting.write("later")
    assert await setting.asked() == ["+later"]
    assert "it is too large" in setting.bundle.all_faults[0].message


async def test_a_renamed_test_never_runs_beside_itself(setting: Setting):
    """What went is deleted before what came is applied."""
    setting.write("a")
    await setting.asked()
    setting.write("a", TEST.replace("NAME", "b"))
    assert await setting.asked() == ["-a", "+b"]


async def test_a_file_that_a_config_map_is_made_of_counts(setting: Setting):
    """New contents in a folder that stands for a ConfigMap are applied."""
    (setting.path / "journeys").mkdir()
    script = setting.path / "journeys" / "j.py"
    script.write_text("async def journey(user): pass\n")
    setting.write(
        "a",
        TEST.replace("NAME", "a").replace(
            "steps: [{request: {url: /}}]", "script: {configMapKeyRef: {name: journeys, key: j.py}}"
        ),
    )
    seen = fingerprint(setting.path)
    assert await setting.asked() == ["+journeys", "+a"]
    script.write_text("async def journey(user): return\n")
    assert fingerprint(setting.path) != seen
    assert await setting.asked() == ["+journeys"]


def test_our_own_files_are_no_change(tmp_path: Path):
    """What `up` writes under .loadgate, and hidden files of editors, wake nobody."""
    seen = fingerprint(tmp_path)
    (tmp_path / STATE).mkdir()
    (tmp_path / STATE / "a.status.yaml").write_text("")
    (tmp_path / ".a.yaml.swp").write_text("")
    assert fingerprint(tmp_path) == seen


def test_statuses_are_files(tmp_path: Path):
    """A status is written as it is, told when it comes to another point, and gone with its object."""
    told: list[str] = []
    keeper = Keeper(tmp_path / STATE, told.append)
    (tmp_path / STATE).mkdir()
    (tmp_path / STATE / "old.status.yaml").write_text("phase: Passed")
    keeper.begin()
    assert not list((tmp_path / STATE).iterdir())
    conditions = [{"type": "Reconciling", "status": "True", "reason": "Running", "message": "load is on"}]
    status = {"phase": "Running", "progress": 10, "conditions": conditions}
    for percent in (10, 20):
        keeper.status(KEY, {"status": {**status, "progress": percent}})
    assert yaml.safe_load((tmp_path / STATE / "a.status.yaml").read_text())["progress"] == 20
    assert told == ["LoadTest a: Running: load is on"]
    keeper.status(KEY, None)
    assert not list((tmp_path / STATE).iterdir())


async def test_what_was_known_is_taken_up_once(setting: Setting):
    """A test whose status an earlier `up` kept is taken up from it, with its result; a later change is a change."""
    before = Keeper(setting.path / STATE, print)
    before.status(KEY, {"status": {"phase": "Passed", "run": {"number": 3, "verdict": "Passed"}}})
    before.result(KEY, 3, sample(), keep=2)
    before.status(Key(Kind.LOAD_TEST, "default", "b"), {"status": {"run": {"number": 1}}})
    setting.write("a")
    setting.write("b")
    setting.keeper.begin()
    assert await setting.asked() == ["~a 3 True", "~b 1 False"]
    setting.write("a", TEST.replace("NAME", "a").replace("vus: 1", "vus: 2"))
    assert await setting.asked() == ["+a"]


@pytest.mark.parametrize("kept", ["", "[]", "phase: Pending", "run: {number: many}", "run: [", "\x00"])
async def test_a_status_that_says_nothing_is_forgotten(setting: Setting, kept: str):
    """A status without a run, or a damaged one, is no reason to stop: the test is new."""
    (setting.path / STATE).mkdir()
    (setting.path / STATE / "a.status.yaml").write_text(kept)
    setting.write("a")
    setting.keeper.begin()
    assert await setting.asked() == ["+a"]


def test_kinds_and_namespaces_are_kept_apart(tmp_path: Path):
    """A test and a budget of one name, and two tests of two namespaces, have a file each."""
    keeper = Keeper(tmp_path, print)
    for key in (KEY, Key(Kind.PERFORMANCE_BUDGET, "default", "a"), Key(Kind.LOAD_TEST, "other", "a")):
        keeper.status(key, {"status": {}})
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.yaml"))
    assert files == ["a.budget.status.yaml", "a.status.yaml", "other/a.status.yaml"]


def test_results_are_kept_up_to_the_limit(tmp_path: Path):
    """The oldest results make room, by number and not by name."""
    keeper = Keeper(tmp_path, print)
    for number in (8, 9, 10):
        keeper.result(KEY, number, sample(), keep=2)
    assert sorted(path.name for path in (tmp_path / "results" / "a").iterdir()) == ["10", "9"]
    assert (tmp_path / "results" / "a" / "10" / "report.html").is_file()


def test_a_run_is_news_once(tmp_path: Path):
    """A result is written when its run is new or judged anew."""
    keeper = Keeper(tmp_path, print)
    run = {"id": "a-1", "attempt": 1, "verdict": "Passed", "judgedBy": "x"}
    assert [keeper.is_news(KEY, run), keeper.is_news(KEY, run), keeper.is_news(KEY, {**run, "judgedBy": "y"})] == [
        True,
        False,
        True,
    ]
