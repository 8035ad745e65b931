"""`loadgate completion`."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a completion script for a shell.

    \b
    bash: source <(loadgate completion bash)
    zsh:  source <(loadgate completion zsh)
    fish: loadgate completion fish | source
    """  # noqa: D301 - click's sign for lines to be left as they are
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    root = ctx.find_root()
    click.echo(kind(root.command, {}, root.info_name or "loadgate", "_LOADGATE_COMPLETE").source())
