"""What an exit code means: the one table that pipelines rely on."""

from collections.abc import Iterable
from enum import IntEnum

from loadgate.api.conditions import Outcome


class Exit(IntEnum):
    """The exit codes of every command that runs, reads or judges tests."""

    PASSED = 0
    FAILED = 1
    INVALID = 2
    INCONCLUSIVE = 3
    ABORTED = 4
    TIMED_OUT = 124
    """No verdict in time: timeout(1)'s code, and no verdict's own."""
    INTERRUPTED = 130


_BY_OUTCOME = {
    Outcome.Passed: Exit.PASSED,
    Outcome.Failed: Exit.FAILED,
    Outcome.Inconclusive: Exit.INCONCLUSIVE,
    Outcome.Aborted: Exit.ABORTED,
}
_WORST_FIRST = (Exit.INTERRUPTED, Exit.INVALID, Exit.FAILED, Exit.TIMED_OUT, Exit.INCONCLUSIVE, Exit.ABORTED)


def exit_of(outcome: Outcome) -> Exit:
    """The exit code of one verdict."""
    return _BY_OUTCOME[outcome]


def worst(exits: Iterable[Exit]) -> Exit:
    """The exit code of several tests together: the one that most needs someone to look."""
    seen = set(exits)
    return next((code for code in _WORST_FIRST if code in seen), Exit.PASSED)
