"""`loadgate get`."""

from __future__ import annotations

from typing import Any

import click
import orjson
import yaml

from loadgate_cli import remote

_HEADS = ("NAME", "PHASE", "PROGRESS", "P95", "REQUESTS/S", "FAILED", "RUN")


@click.command()
@click.argument("name", required=False)
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@remote.options
def command(name: str | None, output: str, place: remote.Place) -> None:
    """Show the tests of a cluster.

    Without NAME all of the namespace are shown.
    """
    found = remote.ask(_read(place, name))
    if output == "json":
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    elif output == "yaml":
        click.echo(yaml.safe_dump(found, sort_keys=False), nl=False)
    else:
        click.echo(_table(found["items"] if name is None else [found]))


async def _read(place: remote.Place, name: str | None) -> dict[str, Any]:
    from loadgate_operator.cluster.port import Kind  # noqa: PLC0415 - not needed for --help

    async with remote.connected(place) as cluster:
        found: dict[str, Any] = await cluster.read(Kind.LOAD_TEST, name or "")
        return found


def _table(tests: list[dict[str, Any]]) -> str:
    if not tests:
        return "there are no LoadTests in this namespace"
    rows = [_HEADS, *map(_row, tests)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("   ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _row(test: dict[str, Any]) -> tuple[str, ...]:
    status = test.get("status") or {}
    summary = status.get("summary") or {}
    rate = summary.get("requestsPerSecond")
    return (
        test["metadata"]["name"],
        status.get("phase") or "-",
        f"{status['progress']} %" if "progress" in status else "-",
        summary.get("p95") or "-",
        "-" if rate is None else f"{rate:.1f}",
        summary.get("failedRate") or "-",
        str((status.get("run") or {}).get("number", "-")),
    )
