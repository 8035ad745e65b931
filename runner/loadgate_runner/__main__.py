"""The `loadgate-runner` command: before all else it sees to it that it ends when told, or with its parent."""

from __future__ import annotations

import signal
import sys

from loadgate_runner import orphan


def main() -> None:
    """Run the command; exits with its code."""
    # A container's first process doesn't get a signal that it doesn't listen to: its pod would stay its grace period.
    signal.signal(signal.SIGTERM, lambda number, _: orphan.leave(128 + number))
    arguments = sys.argv[1:]
    parent = orphan.parent_in(arguments)
    if parent is not None:
        orphan.die_with(parent)
    from loadgate_runner.command import run  # noqa: PLC0415 - importing takes longer than a parent may live

    run(arguments)


if __name__ == "__main__":
    main()
