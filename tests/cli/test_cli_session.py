"""What comes of a test that has no result."""

from typing import Any

import pytest
from cli_samples import sample

from loadgate_cli.exits import Exit
from loadgate_cli.session import Ran, without_result
from loadgate_operator.cluster.port import Key, Kind

KEY = Key(Kind.LOAD_TEST, "default", "a")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"phase": "Failed"}, Exit.FAILED),
        ({"phase": "Inconclusive"}, Exit.INCONCLUSIVE),
        ({"phase": "Aborted"}, Exit.ABORTED),
        ({"phase": "Pending"}, Exit.INVALID),
        ({"phase": "Passed"}, Exit.INVALID),
        ({}, Exit.INVALID),
    ],
)
def test_nothing_passes_without_a_result(status: dict[str, Any], code: Exit):
    """Where there is no result the phase decides, and a pass can't be claimed."""
    assert Ran(KEY, {"status": status}, None).exit is code


def test_a_result_decides():
    """Its verdict is the exit code, whatever the phase says."""
    assert Ran(KEY, {}, sample()).exit is Exit.PASSED
    assert Ran(KEY, {}, sample(limit="p(95)<1")).exit is Exit.FAILED


def test_why_there_is_no_result_is_told():
    """The operator's reason and message are shown."""
    conditions = [{"type": "Stalled", "status": "True", "reason": "BudgetNotFound", "message": "there is no budget x"}]
    text = without_result(Ran(KEY, {"status": {"phase": "Pending", "conditions": conditions}}, None))
    assert text == "Pending  default/a\n  BudgetNotFound: there is no budget x"
