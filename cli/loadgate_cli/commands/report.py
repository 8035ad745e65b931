"""`loadgate report`."""

import sys
from collections.abc import Callable
from pathlib import Path

import click
import orjson

from loadgate.report import Result, ResultError
from loadgate_cli import remote
from loadgate_cli.exits import Exit
from loadgate_cli.files import replace
from loadgate_cli.terminal import has_colour, say
from loadgate_cli.verdicts import coloured

_MOST = 1 << 30


def _html(result: Result) -> str:
    from loadgate.report.html import render_html  # noqa: PLC0415 - only the form that is asked for is imported

    return render_html(result)


def _junit(result: Result) -> str:
    from loadgate.report.junit import render_junit  # noqa: PLC0415 - as above

    return render_junit(result)


def _markdown(result: Result) -> str:
    from loadgate.report.markdown import render_markdown  # noqa: PLC0415 - as above

    return render_markdown(result)


def _json(result: Result) -> str:
    return orjson.dumps(result.to_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


_FORMS: dict[str, Callable[[Result], str]] = {
    "text": lambda result: coloured(result, sys.stdout),
    "html": _html,
    "junit": _junit,
    "md": _markdown,
    "json": _json,
}


@click.command()
@click.argument("result", metavar="RESULT|NAME", type=click.Path(allow_dash=True))
@click.option(
    "-f", "--format", "form", type=click.Choice(list(_FORMS)), default="text", show_default=True, help="Form."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write to this file, not to standard output.")
@remote.options
def command(result: str, form: str, out: Path | None, place: remote.Place) -> None:
    """Render a stored result again.

    RESULT is a result.json.zst (or the same unpacked), a folder that --out wrote, or - for standard input. Where there
    is no such file, NAME is a LoadTest in the cluster, and its stored result is read.
    """
    try:
        data = remote.stored_result(place, result) if remote.is_name(result) else _read(result)
        text = _FORMS[form](Result.decode(data))
        if out is not None:
            replace(out, text.encode())
            return
    except ResultError as error:
        say(f"{result}: {error}")
        raise SystemExit(Exit.INVALID) from error
    except OSError as error:
        say(f"{error.filename or out or result}: {error.strerror}")
        raise SystemExit(Exit.INVALID) from error
    click.echo(text, nl=not text.endswith("\n"), color=has_colour(sys.stdout))


def _read(name: str) -> bytes:
    """Raises OSError, and ResultError where it can't be a result."""
    if name == "-":
        return _bounded(sys.stdin.buffer.read(_MOST + 1))
    path = Path(name)
    if path.is_dir():
        path /= "result.json.zst"
    with path.open("rb") as stream:
        return _bounded(stream.read(_MOST + 1))


def _bounded(data: bytes) -> bytes:
    if len(data) > _MOST:
        raise ResultError("is larger than any result")
    return data
