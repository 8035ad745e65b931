"""`loadgate crds`."""

from pathlib import Path

import click

from loadgate.api.crds import crds, dump
from loadgate_cli.exits import Exit
from loadgate_cli.files import replace
from loadgate_cli.terminal import say


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write one file each into this folder.")
def command(out: Path | None) -> None:
    """Print the CustomResourceDefinitions of LoadTest and PerformanceBudget: loadgate crds | kubectl apply -f -"""
    if out is None:
        click.echo("---\n".join(dump(definition) for definition in crds().values()), nl=False)
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, definition in crds().items():
            say(f"wrote {replace(out / name, dump(definition).encode())}")
    except OSError as error:
        say(f"--out {out}: {error.strerror}")
        raise SystemExit(Exit.INVALID) from error
