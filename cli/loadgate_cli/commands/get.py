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
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Those of every namespace.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@remote.options
def command(name: str | None, everywhere: bool, output: str, place: remote.Place) -> None:  # noqa: FBT001 - a flag
    """Show the tests of a cluster.

    Without NAME all of the namespace are shown.
    """
    if everywhere and (name or place.namespace):
        raise click.UsageError("-A shows the tests of every namespace: give neither NAME nor -n with it")
    found = remote.ask(_read(place, name, everywhere=everywhere))
    if output == "json":
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    elif output == "yaml":
        click.echo(yaml.safe_dump(found, sort_keys=False), nl=False)
    else:
        click.echo(_table(found["items"] if name is None else [found], everywhere=everywhere))


async def _read(place: remote.Place, name: str | None, *, everywhere: bool) -> dict[str, Any]:
    from loadgate_operator.cluster.port import Kind  # noqa: PLC0415 - not needed for --help

    async with remote.connected(place) as cluster:
        found: dict[str, Any] = await (cluster.everywhere() if everywhere else cluster).read(Kind.LOAD_TEST, name or "")
        return found


def _table(tests: list[dict[str, Any]], *, everywhere: bool) -> str:
    if not tests:
        return "there are no LoadTests" + ("" if everywhere else " in this namespace; -A shows those of all")
    rows = [_HEADS, *map(_row, tests)]
    if everywhere:
        spaces = ["NAMESPACE", *(test["metadata"]["namespace"] for test in tests)]
        rows = [(space, *row) for space, row in zip(spaces, rows, strict=True)]
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
