"""`loadgate version`."""

import platform
from importlib.metadata import version

import click

from loadgate_cli import options
from loadgate_cli.objects import dump
from loadgate_runner import compiled


@click.command()
@options.output
def command(output: str) -> None:
    """Print the version of loadgate, and of what it runs on."""
    parts = {
        "loadgate": version("loadgate"),
        "runner": "compiled" if compiled() else "interpreted",
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    if output == "text":
        click.echo(
            f"loadgate {parts['loadgate']} (runner {parts['runner']}, Python {parts['python']}, {parts['platform']})"
        )
    else:
        click.echo(dump(parts, output), nl=False)
