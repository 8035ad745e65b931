"""`loadgate validate`."""

import sys

import click

from loadgate_cli import options
from loadgate_cli.bundle import Bundle, Entry
from loadgate_cli.diagnostics import count, in_order, render, to_json
from loadgate_cli.exits import Exit
from loadgate_cli.objects import dump
from loadgate_cli.terminal import Paint, has_colour


@click.command()
@options.manifests
@options.output
def command(bundle: Bundle, output: str) -> None:
    """Find every fault of the manifests: their form, and what they refer to.

    FILE is a manifest, a folder of them, or - for standard input. Exits 2 where anything is wrong, and starts nothing.
    """
    click.echo(
        _text(bundle) if output == "text" else dump(_data(bundle), output),
        nl=output == "text",
        color=has_colour(sys.stdout),
    )
    raise SystemExit(Exit.INVALID if bundle.all_faults else Exit.PASSED)


def _text(bundle: Bundle) -> str:
    paint = Paint(sys.stdout)
    faults = bundle.all_faults
    sound = [
        f"{_title(entry)} {paint.good('is valid')}" for entry in bundle.entries if entry.document and not entry.faults
    ]
    wrong = [render(faults, bundle.texts, paint), paint.bold(count(faults))] if faults else []
    return "\n".join([*sound, *wrong])


def _title(entry: Entry) -> str:
    kind, namespace, name = entry.identity
    return f"{entry.source.name if entry.source else ''}: {kind} {namespace}/{name}"


def _data(bundle: Bundle) -> object:
    return {
        "valid": not bundle.all_faults,
        "faults": [to_json(fault) for fault in in_order(bundle.all_faults)],
        "objects": [_object(entry) for entry in bundle.entries if entry.document is not None],
    }


def _object(entry: Entry) -> dict[str, object]:
    kind, namespace, name = entry.identity
    file = entry.source.name if entry.source else ""
    return {"kind": kind, "namespace": namespace, "name": name, "file": file, "valid": not entry.faults}
