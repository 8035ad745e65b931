"""`loadgate wait`."""

import asyncio
import time
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from loadgate.api.units import Duration, format_duration
from loadgate_cli import remote
from loadgate_cli.exits import Exit
from loadgate_cli.standings import details, ending, line
from loadgate_cli.terminal import say

_PAUSE = 1.0
"""Seconds between two looks at the status."""


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    try:
        return TypeAdapter(Duration).validate_python(value).seconds
    except ValidationError as error:
        raise click.BadParameter(f"{value!r} is no duration, such as 90s or 10m") from error


@click.command()
@click.argument("name")
@click.option("--timeout", default="1h", show_default=True, callback=_seconds, help="How long to wait.")
@remote.options
def command(name: str, timeout: float, place: remote.Place) -> None:
    """Wait for a test's verdict in a cluster, and exit by it.

    Progress goes to standard error, the verdict to standard output.

    Exits 0 passed, 1 failed, 2 invalid input (also where the cluster or the test can't be found or read), 3
    inconclusive, 4 aborted, 124 no verdict in time, 130 interrupted.
    """
    raise SystemExit(remote.ask(_wait(place, name, timeout)))


async def _wait(place: remote.Place, name: str, timeout: float) -> Exit:  # noqa: ASYNC109 - running out is an answer here, not an exception
    until = time.monotonic() + timeout
    told = ""
    async with remote.connected(place) as cluster:
        test: dict[str, Any] = await cluster.test(name)
        while (code := ending(test)) is None:
            if (now := line(test)) != told:
                say(f"{name}  {now}")
                told = now
            if time.monotonic() + _PAUSE > until:
                say(f"{name}: no verdict within {format_duration(timeout)}")
                return Exit.TIMED_OUT
            await asyncio.sleep(_PAUSE)
            try:
                test = await cluster.test(name)
            except remote.UnansweredError as error:  # an API server may be away for a while; the run goes on
                say(str(error))
        click.echo("\n  ".join((f"{name}  {line(test)}", *details(test))))
        return code
