"""Exit codes, the one table that pipelines rely on."""

import itertools

import pytest

from loadgate.api.conditions import Outcome
from loadgate_cli.exits import Exit, exit_of, worst


@pytest.mark.parametrize(("outcome", "code"), [("Passed", 0), ("Failed", 1), ("Inconclusive", 3), ("Aborted", 4)])
def test_each_verdict_has_its_code(outcome: str, code: int):
    """0 passed, 1 failed, 3 inconclusive, 4 aborted."""
    assert exit_of(Outcome(outcome)) == code


def test_every_outcome_has_a_code():
    """No verdict is without one."""
    assert len({exit_of(outcome) for outcome in Outcome}) == len(Outcome)


def test_several_tests_exit_by_the_worst():
    """One that failed among many fails them all; nothing that isn't a pass hides behind one."""
    assert worst([Exit.PASSED, Exit.INCONCLUSIVE, Exit.FAILED]) == Exit.FAILED
    assert worst([]) == Exit.PASSED
    for pair in itertools.combinations(Exit, 2):
        assert worst(pair) != Exit.PASSED
