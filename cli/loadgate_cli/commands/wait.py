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
        now = ""
        while (code := ending(test)) is None:
            if (now := now or f"{name}  {line(test)}") != told:
                say(now)
                told = now
            if time.monotonic() + _PAUSE > until:
                say(f"{name}: no verdict within {format_duration(timeout)}")
                return Exit.TIMED_OUT
            await asyncio.sleep(_PAUSE)
            test, now = await _look_again(cluster, test)
        click.echo("\n  ".join((f"{name}  {line(test)}", *details(test))))
        return code


async def _look_again(cluster: remote.Remote, test: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The test as it is now; or as it was, and what is in the way.

    It was there before, so the way is right: an API server may be away for a while, and knows neither rights nor
    definitions at first when it is back. The run goes on meanwhile.
    """
    try:
        return await cluster.test(test["metadata"]["name"]), ""
    except remote.MissingError:
        raise
    except remote.RemoteError as error:
        return test, str(error)
