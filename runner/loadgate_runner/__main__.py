"""The `loadgate-runner` command: first of all it sees to it that it doesn't outlive its parent, if it isn't to."""

from __future__ import annotations

import sys

from loadgate_runner import orphan


def main() -> None:
    """Run the command; exits with its code."""
    arguments = sys.argv[1:]
    parent = orphan.parent_in(arguments)
    if parent is not None:
        orphan.die_with(parent)
    from loadgate_runner.command import run  # noqa: PLC0415 - importing takes longer than a parent may live

    run(arguments)


if __name__ == "__main__":
    main()
