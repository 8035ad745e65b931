"""`loadgate demo`."""

import asyncio
import os
from pathlib import Path

import click

from loadgate_cli import options
from loadgate_cli.bundle import Bundle, build
from loadgate_cli.exits import Exit
from loadgate_cli.overrides import Override
from loadgate_cli.session import execute
from loadgate_cli.shop import ShopError, examples, serving
from loadgate_cli.sources import read_all
from loadgate_cli.terminal import say

_FAULTS = ("none", "slow", "errors", "stall")


@click.command()
@click.option("--fault", type=click.Choice(_FAULTS), default="none", help="What is wrong with the shop.")
@options.out(Path("out/demo"))
@options.output
def command(fault: str, out: Path, output: str) -> None:
    """Run a user journey against a demo shop, in about 30 seconds.

    Starts the shop on a free port, runs the journey with two runners, and judges it by thresholds and a budget.
    Exits as run does.
    """
    try:
        folder = examples()
        say(f"starting the demo shop{'' if fault == 'none' else f' with a fault: {fault}'}")
        with serving(folder, fault) as url:
            code = _run(folder, url, out, output)
    except ShopError as error:
        say(str(error))
        raise SystemExit(Exit.INVALID) from error
    say(_next(fault, code))
    raise SystemExit(code)


def _run(folder: Path, url: str, out: Path, output: str) -> Exit:
    sources, unreadable = read_all([str(folder / "demo.yaml")])
    bundle: Bundle = build(sources, changes=[Override("spec.target.url", ("spec", "target", "url"), url)])
    bundle.faults += unreadable
    options.refuse(bundle, "nothing was started")
    options.check_out(out, bundle)
    return asyncio.run(execute(bundle, out=out, form=output))


def _next(fault: str, code: Exit) -> str:
    """What to try next, in the words of whoever called: make, or the command itself."""
    made = "MAKELEVEL" in os.environ
    plain, slow = ("make demo", "make demo FAULT=slow") if made else ("loadgate demo", "loadgate demo --fault slow")
    if code is Exit.INTERRUPTED:
        return f"try next: {plain}, and let it come to its end"
    if fault == "none":
        return f"try next: {slow} (or errors, stall) to see which limits break"
    return f"try next: {plain}, without a fault, or a manifest of your own: loadgate plan FILE"
