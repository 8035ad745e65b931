"""`loadgate version`."""

import platform
from importlib.metadata import version

import click

from loadgate_cli import options
from loadgate_cli.objects import dump


@click.command()
@options.output
def command(output: str) -> None:
    """Print the version of loadgate, and of what it runs on."""
    parts = {"loadgate": version("loadgate"), "python": platform.python_version(), "platform": platform.platform()}
    if output == "text":
        click.echo(f"loadgate {parts['loadgate']} (Python {parts['python']}, {parts['platform']})")
    else:
        click.echo(dump(parts, output), nl=False)
