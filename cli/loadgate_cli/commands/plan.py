"""`loadgate plan`."""

import shutil
import sys

import click

from loadgate.plan import compile_plan
from loadgate_cli import options
from loadgate_cli.bundle import Bundle
from loadgate_cli.outline import outline
from loadgate_cli.terminal import Paint, has_colour

_WIDEST = 120


@click.command()
@options.manifests
def command(bundle: Bundle) -> None:
    """Show what a test will do, without doing it.

    The curve of VUs or arrivals, how long it takes, how much to expect, each runner's share, and what judges it.
    """
    options.refuse(bundle, "there is no plan for it")
    width = min(shutil.get_terminal_size((80, 24)).columns, _WIDEST)
    plans = [
        outline(test, compile_plan(test, run="plan"), bundle.budgets, Paint(sys.stdout), width) for test in bundle.tests
    ]
    click.echo("\n\n".join("\n".join(lines) for lines in plans), color=has_colour(sys.stdout))
