"""Statuses and results as files: what `up` leaves under DIR/.loadgate/ for people, scripts and other tools."""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from loadgate.api.conditions import ConditionType
from loadgate.report.result import Result, ResultError
from loadgate_cli import outputs
from loadgate_cli.files import replace
from loadgate_cli.objects import dump
from loadgate_operator.cluster.port import Key, Kind

_SUFFIX = ".status.yaml"
_BUDGET = ".budget"


class Earlier(NamedTuple):
    """What is known of an object from an earlier time."""

    status: dict[str, Any]
    result: Result | None


class Keeper:
    """Writes each status when it changes, and each run's result once. Its methods raise OSError and OutputError."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._tell = tell
        self._earlier: dict[Path, bytes] = {}
        self._written: dict[Path, bytes] = {}
        self._phases: dict[Key, tuple[object, ...]] = {}
        self._runs: dict[Key, tuple[object, ...]] = {}

    def begin(self) -> None:
        """Make the folder, and take the statuses of an earlier time out of it: who is still there gets them back."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.rglob(f"*{_SUFFIX}"):
            self._earlier[path] = path.read_bytes()
            path.unlink()

    def earlier(self, key: Key) -> Earlier | None:
        """How an object stood when `up` ended last, once; None where that isn't known or can't be read."""
        data = self._earlier.pop(self._path(key), None)
        if data is None:
            return None
        try:
            status = yaml.safe_load(data)
            number = int(status["run"]["number"])
        except (yaml.YAMLError, KeyError, TypeError, ValueError):
            return None
        try:
            result = outputs.stored(self._runs_of(key) / str(number))
        except (OSError, ResultError):
            result = None
        return Earlier(status, result)

    def status(self, key: Key, obj: Mapping[str, Any] | None) -> None:
        """Write how an object stands; None is one that is gone."""
        path = self._path(key)
        if obj is None:
            path.unlink(missing_ok=True)
            self._written.pop(path, None)
            self._phases.pop(key, None)
            return
        status = obj.get("status") or {}
        text = dump(status, "yaml").encode()
        if self._written.get(path) != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, text)
            self._written[path] = text
        self._say(key, status)

    def result(self, key: Key, number: int, result: Result, *, keep: int) -> Path:
        """Write a run's result and its reports, and remove those of runs beyond the last `keep`."""
        runs = self._runs_of(key)
        outputs.write(runs / str(number), result)
        old = sorted((int(path.name) for path in runs.iterdir() if re.fullmatch(r"\d+", path.name)), reverse=True)
        for gone in old[max(keep, 1) :]:
            shutil.rmtree(runs / str(gone), ignore_errors=True)
        return runs / str(number)

    def is_news(self, key: Key, run: Mapping[str, Any]) -> bool:
        """Whether a run, or its verdict, isn't the one that was asked about last."""
        point = (run.get("id"), run.get("attempt"), run.get("judgedBy"), run.get("verdict"))
        news = self._runs.get(key) != point
        self._runs[key] = point
        return news

    def _runs_of(self, key: Key) -> Path:
        return self._path(key).parent / "results" / key.name

    def _path(self, key: Key) -> Path:
        folder = self._folder if key.namespace == "default" else self._folder / key.namespace
        return folder / f"{key.name}{_BUDGET if key.kind == Kind.PERFORMANCE_BUDGET else ''}{_SUFFIX}"

    def _say(self, key: Key, status: Mapping[str, Any]) -> None:
        """A line whenever an object is at another point, with the reason that its conditions give."""
        conditions = {c["type"]: c for c in status.get("conditions") or []}
        leading: dict[str, Any] = next((conditions[t] for t in _LEADING if t in conditions), {})
        said = leading.get("message") or leading.get("reason") or ""
        under_way = leading.get("type") == ConditionType.Reconciling  # its message counts things: too much to tell
        point = (status.get("phase"), leading.get("reason"), None if under_way else said)
        if not status or self._phases.get(key) == point:
            return
        self._phases[key] = point
        phase = f"{status['phase']}: " if status.get("phase") else ""
        self._tell(f"{key.kind} {key.name}: {phase}{said}")


_LEADING = (
    ConditionType.Reconciling,
    ConditionType.Stalled,
    ConditionType.Passed,
    ConditionType.Satisfied,
    ConditionType.Ready,
)
"""Which condition tells most, the first that is there."""
