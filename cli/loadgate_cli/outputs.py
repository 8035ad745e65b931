"""`--out DIR`: checked before load begins, since a result that can't be kept is worth less than no load at all."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from loadgate.report import Result
from loadgate.report.html import render_html
from loadgate.report.junit import render_junit
from loadgate.report.markdown import render_markdown
from loadgate_cli.files import replace

RESULT, HTML, JUNIT, MARKDOWN = "result.json.zst", "report.html", "junit.xml", "summary.md"
FILES = (RESULT, HTML, JUNIT, MARKDOWN)
LOGS = "logs"
"""The folder of runners' logs within it."""
_LOG = "*.*-*-*-*.log"
_PROBE_BYTES = 4 << 20
"""What must fit; a result and its reports stay well below."""


class OutputError(Exception):
    """The folder can't be written to."""


def folder_of(out: Path, namespace: str, name: str, *, several: bool) -> Path:
    """Where a test's files go: a folder of its own where there are several."""
    if not several:
        return out
    return out / (name if namespace == "default" else f"{namespace}.{name}")


def check(folder: Path, parts: Iterable[Path] = ()) -> None:
    """Make the folder, rid it and its parts of an earlier run's files, and write as much as a result may need.

    Raises OutputError.
    """
    probe = folder / f".loadgate-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in [*(part / name for part in (folder, *parts) for name in FILES), *(folder / LOGS).glob(_LOG)]:
            old.unlink(missing_ok=True)  # or a run that leaves none would seem to have left them
        try:
            with probe.open("wb") as stream:
                stream.write(bytes(_PROBE_BYTES))
                stream.flush()
                os.fsync(stream.fileno())
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"--out {folder}: {error.strerror or error}") from error


def write(folder: Path, result: Result) -> list[Path]:
    """Write the result and its reports, each whole or not at all. Raises OutputError."""
    files: dict[str, Callable[[], bytes]] = {
        RESULT: result.encode,
        HTML: lambda: render_html(result).encode(),
        JUNIT: lambda: render_junit(result).encode(),
        MARKDOWN: lambda: render_markdown(result).encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [replace(folder / name, content()) for name, content in files.items()]
    except OSError as error:
        raise OutputError(f"--out {folder}: {error.strerror or error}") from error


def stored(folder: Path) -> Result:
    """The result that `write` left in a folder. Raises OSError and ResultError."""
    return Result.decode((folder / RESULT).read_bytes())
