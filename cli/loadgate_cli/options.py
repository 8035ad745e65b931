"""Arguments and options that several commands share, and what comes of them."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from loadgate.api.faults import Fault, InvalidSpec
from loadgate_cli import overrides
from loadgate_cli.bundle import Bundle, build
from loadgate_cli.credentials import Credential, parse_all
from loadgate_cli.diagnostics import count, render
from loadgate_cli.exits import Exit
from loadgate_cli.overrides import Override
from loadgate_cli.sources import read_all
from loadgate_cli.terminal import Paint, say

F = TypeVar("F", bound=Callable[..., Any])


def files(function: F) -> F:
    """FILE…: manifests, folders of them, or `-`."""
    return click.argument("files", nargs=-1, required=True, metavar="FILE...")(function)


def changes(function: F) -> F:
    """`--runners` and `--set`."""
    function = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="PATH=VALUE",
        help="Change a field, such as spec.scenarios[0].vus=5. May be given several times.",
    )(function)
    return click.option("--runners", type=click.IntRange(1, 1000), help="How many runners share the load.")(function)


def secrets(function: F) -> F:
    """`--secret`."""
    return click.option(
        "--secret",
        "secrets",
        multiple=True,
        metavar="NAME=VALUE",
        help="A value for spec.secrets.NAME. NAME=@FILE reads it from a file, NAME alone from the variable "
        "LOADGATE_SECRET_NAME, so that it doesn't stand in the shell's history. May be given several times.",
    )(function)


def gather(names: Sequence[str], *, settings: Sequence[str], runners: int | None, secrets: Sequence[str]) -> Bundle:
    """Everything that was given, read and checked; faults of the options themselves are in it too."""
    faults: list[Fault] = []
    changes: list[Override] = []
    credentials: dict[str, Credential] = {}
    for setting in settings:
        try:
            changes.append(overrides.parse(setting))
        except InvalidSpec as error:
            faults += error.faults
    if runners is not None:
        changes.append(Override("spec.runners.count", ("spec", "runners", "count"), runners))
    try:
        credentials = parse_all(secrets)
    except InvalidSpec as error:
        faults += error.faults
    sources, unreadable = read_all(names)
    bundle = build(sources, changes=changes, credentials=credentials, check_secrets=not faults)
    bundle.faults += faults + unreadable
    return bundle


def refuse(bundle: Bundle, what: str) -> None:
    """End the command with exit code 2 if anything is wrong, having said all of it."""
    faults = bundle.all_faults
    if not faults and bundle.tests:
        return
    if not faults:
        faults = [Fault("", "there is no LoadTest in what was given", "give a manifest of kind LoadTest")]
    say(render(faults, bundle.texts, Paint(sys.stderr)))
    say(f"{count(faults)}: {what}")
    raise SystemExit(Exit.INVALID)
