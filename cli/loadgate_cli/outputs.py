"""`--out DIR`: checked before load begins, since a result that can't be kept is worth less than no load at all."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from loadgate.report.html import render_html
from loadgate.report.junit import render_junit
from loadgate.report.markdown import render_markdown
from loadgate_cli.files import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate.report.result import Result

RESULT, HTML, JUNIT, MARKDOWN = "result.json.zst", "report.html", "junit.xml", "summary.md"
_PROBE_BYTES = 4 << 20
"""What must fit; a result and its reports stay well below."""


class OutputError(Exception):
    """The folder can't be written to."""


def check(folder: Path) -> None:
    """Make the folder, and write as much into it as a result may need. Raises OutputError."""
    probe = folder / f".loadgate-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with probe.open("wb") as stream:
                stream.write(bytes(_PROBE_BYTES))
                stream.flush()
                os.fsync(stream.fileno())
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"--out {folder}: {error.strerror or error}") from error


def write(folder: Path, result: "Result") -> list[Path]:
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
