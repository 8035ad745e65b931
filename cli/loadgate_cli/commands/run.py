"""`loadgate run`."""

import asyncio
from pathlib import Path

import click

from loadgate.plan import Targets
from loadgate_cli import options
from loadgate_cli.bundle import Bundle
from loadgate_cli.session import execute


@click.command()
@options.manifests
@options.out()
@options.output
@options.targets
def command(bundle: Bundle, out: Path | None, output: str, targets: Targets) -> None:
    """Run load tests on this machine, and exit by their verdict.

    FILE is a manifest, a folder of them, or - for standard input; several tests run one after another. Progress goes to
    standard error, the verdict to standard output. Ctrl-C stops gracefully with what was measured, twice at once.

    Exits 0 passed, 1 failed, 2 invalid input, 3 inconclusive, 4 aborted, 130 interrupted.
    """
    options.refuse_suspended(bundle)
    options.refuse(bundle, "nothing was started")
    options.check_out(out, bundle)
    raise SystemExit(asyncio.run(execute(bundle, out=out, form=output, targets=targets)))
