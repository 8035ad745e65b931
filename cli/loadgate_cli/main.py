"""The entry point of `loadgate`: which commands there are."""

import io
import os
import signal
import sys

from loadgate_cli.lazy import LazyGroup

_INTERRUPTED = 130
_COMMANDS = "loadgate_cli.commands"
LAZY = {
    "run": (f"{_COMMANDS}.run", "Run load tests on this machine and exit by their verdict."),
    "up": (f"{_COMMANDS}.up", "Watch a folder of manifests, run what changes, keep the statuses."),
    "plan": (f"{_COMMANDS}.plan", "Show what a test will do, without doing it."),
    "validate": (f"{_COMMANDS}.validate", "Find every fault of the manifests."),
    "report": (f"{_COMMANDS}.report", "Render a stored result again."),
    "wait": (f"{_COMMANDS}.wait", "Wait for a test's verdict in a cluster, and exit by it."),
    "get": (f"{_COMMANDS}.get", "Show the tests of a cluster."),
    "logs": (f"{_COMMANDS}.logs", "Print the runners' logs of a test in a cluster."),
    "demo": (f"{_COMMANDS}.demo", "Run a user journey against a demo shop, in about 30 seconds."),
    "crds": (f"{_COMMANDS}.crds", "Print the CustomResourceDefinitions."),
    "version": (f"{_COMMANDS}.version", "Print the version."),
    "completion": (f"{_COMMANDS}.completion", "Print a completion script for a shell."),
}

cli = LazyGroup(
    lazy=LAZY,
    name="loadgate",
    help="Performance gates: a manifest goes in, real traffic goes out, a verdict comes back.",
    epilog=(
        "Exit codes: 0 passed, 1 failed, 2 invalid input, 3 inconclusive, 4 aborted, 124 no verdict in time (wait), "
        "130 interrupted."
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)


def main() -> None:
    """Run the command that the arguments name."""
    _run("loadgate")


def plugin() -> None:
    """The same command as kubectl's plugin: `kubectl loadgate`."""
    _run("kubectl loadgate")


def _run(name: str) -> None:
    signal.signal(signal.SIGINT, _interrupted)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no ✓ gets a ? and not a traceback
    try:
        cli.main(prog_name=name)
    finally:
        # All is done and said: one more Ctrl-C while Python takes itself down must not change the exit code.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupted(_number: int, _frame: object) -> None:
    """Ctrl-C where nobody takes care of it: while a command begins, or when it doesn't come to its end.

    No exception: one that is raised amid an import or a clean-up may be swallowed there, and the command go on. What
    was started dies with this process, and its files are cleared away by the next one.
    """
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
