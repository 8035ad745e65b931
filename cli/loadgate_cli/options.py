"""Arguments and options that several commands share, and what comes of them."""

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from loadgate.api.faults import Fault, InvalidSpec
from loadgate.plan import TargetRuleError, Targets
from loadgate_cli import overrides
from loadgate_cli.bundle import Bundle, build
from loadgate_cli.credentials import Credential, parse_all
from loadgate_cli.diagnostics import count, render
from loadgate_cli.exits import Exit
from loadgate_cli.objects import FORMATS
from loadgate_cli.outputs import OutputError, check, folder_of
from loadgate_cli.overrides import Override
from loadgate_cli.sources import read_all
from loadgate_cli.terminal import Paint, say


def manifests(function: Callable[..., None]) -> Callable[..., None]:
    """FILE…, `--runners`, `--set` and `--secret`; the command is given the Bundle that they come to."""

    @click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(allow_dash=True))
    @click.option("--runners", type=click.IntRange(1, 1000), help="How many runners share the load.")
    @click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help=_SET)
    @click.option("--secret", "secrets", multiple=True, metavar="NAME=VALUE", help=_CREDENTIAL)
    @functools.wraps(function)
    def wrapped(
        *,
        files: Sequence[str],
        settings: Sequence[str],
        runners: int | None,
        secrets: Sequence[str],
        **others: Any,
    ) -> None:
        function(gather(files, settings=settings, runners=runners, secrets=secrets), **others)

    return wrapped


def output(function: Callable[..., None]) -> Callable[..., None]:
    """`-o`."""
    form = click.Choice(FORMATS)
    return click.option("-o", "--output", type=form, default="text", show_default=True, help="Form of the output.")(
        function
    )


def out(default: Path | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`--out`."""
    text = "Write result, HTML, JUnit and Markdown into this folder."
    return click.option("--out", type=click.Path(path_type=Path), default=default, show_default=True, help=text)


def targets(function: Callable[..., None]) -> Callable[..., None]:
    """`--allowed-target`; the command is given the Targets that they come to."""
    return click.option(
        "--allowed-target",
        "targets",
        multiple=True,
        metavar="RULE",
        callback=_targets,
        help="A host, *.domain, address or CIDR that load may go to, and nowhere else. May be given several times.",
    )(function)


def _targets(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> Targets:
    try:
        return Targets(value)
    except TargetRuleError as error:
        raise click.BadParameter(str(error)) from error


_SET = "Change a field, such as spec.scenarios[0].vus=5. May be given several times."
_CREDENTIAL = (
    "A value for spec.secrets.NAME. NAME=@FILE reads it from a file, NAME alone from the variable "
    "LOADGATE_SECRET_NAME, so that it doesn't stand in the shell's history. May be given several times."
)


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


def refuse_suspended(bundle: Bundle) -> None:
    """A test that is suspended would never come to an end here: that is a fault."""
    for entry in bundle.entries:
        if entry.test is not None and entry.test.spec.suspend:
            hint = "remove it, or add --set spec.suspend=false"
            entry.fault(("spec", "suspend"), "is true, so that nothing would start", hint)


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


def check_out(folder: Path | None, bundle: Bundle) -> None:
    """End the command with exit code 2 where `--out` can't be written to."""
    if folder is None:
        return
    try:
        places = [(test.metadata.namespace, test.metadata.name) for test in bundle.tests]
        check(folder, [folder_of(folder, *place, several=len(places) > 1) for place in places])
    except OutputError as error:
        say(f"{error}; nothing was started")
        raise SystemExit(Exit.INVALID) from error
