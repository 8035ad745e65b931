"""`loadgate up`."""

import asyncio
from pathlib import Path

import click

from loadgate.plan import Targets
from loadgate_cli import options
from loadgate_cli.exits import Exit
from loadgate_cli.service import ServiceError, serve
from loadgate_cli.terminal import say


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@click.option(
    "--listen",
    default="127.0.0.1:9118",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to serve /metrics and /healthz.",
)
@options.targets
def command(folder: Path, listen: str, targets: Targets) -> None:
    """Watch a folder of manifests: the operator on one machine.

    Runs every test that is new and whenever its manifest changes, judges again when only limits change, keeps each
    object's status as DIR/.loadgate/NAME.status.yaml and each result under DIR/.loadgate/results/. Started again, it
    goes on from there: what hasn't changed isn't run again.
    """
    try:
        asyncio.run(serve(folder, _address(listen), targets))
    except ServiceError as error:
        say(str(error))
        raise SystemExit(Exit.INVALID) from error
    raise SystemExit(Exit.PASSED)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port[:6]) > 65535:
        raise click.BadParameter(f"{text!r} is not HOST:PORT", param_hint="--listen")
    return host.strip("[]") or "127.0.0.1", int(port)
