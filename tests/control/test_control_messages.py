"""Messages between operator and runner survive JSON and refuse garbage."""

import pytest

from loadgate.control import (
    Ack,
    BlockReport,
    BlockState,
    MessageError,
    RunMessage,
    RunnerReport,
    RunnerState,
    Start,
    Stop,
    Teardown,
)
from loadgate.control.messages import LONGEST_TEXT

REPORT = RunnerReport(
    run="r",
    index=1,
    uid="u",
    state=RunnerState.RUNNING,
    elapsed=1.5,
    setup=BlockReport(BlockState.DONE, {"token": "x"}),
    teardown=BlockReport(BlockState.FAILED, message="no"),
)


@pytest.mark.parametrize(
    "message",
    [
        RunMessage("r"),
        Start("r", 0.2, 3.0, {"a": 1}),
        Stop("r", False, "why"),
        Teardown("r", {"a": 1}),
        Ack("r", 3),
        REPORT,
    ],
)
def test_round_trip(message):
    """Each message is read back as it was written, states as states."""
    assert type(message).decode(message.encode()) == message


def test_a_newer_side_may_say_more():
    """Unknown fields are let pass."""
    assert RunMessage.decode(b'{"run": "r", "new": 1}') == RunMessage("r")


def test_a_text_without_end_is_cut():
    """A runner's message may hold a megabyte of what a target wrote; it arrives short enough for a status."""
    long = "x" * (1 << 20)
    report = RunnerReport("r", 1, "u", RunnerState.FAILED, message=long, setup=BlockReport(message=long))
    read = RunnerReport.decode(report.encode())
    assert len(read.message) == len(read.setup.message) == LONGEST_TEXT
    with pytest.raises(MessageError) as refused:
        RunnerReport.decode(report.encode().replace(b'"Failed"', f'"{long}"'.encode()))
    assert len(str(refused.value)) < LONGEST_TEXT


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (RunMessage, b""),
        (RunMessage, b"{}"),
        (RunMessage, b"null"),
        (RunMessage, b'{"run": 1}'),
        (Ack, b'{"run": "r", "sequence": true}'),
        (Start, b'{"run": "r", "in_seconds": "1"}'),
        (Start, b'{"run": "r", "in_seconds": 1, "setup": []}'),
        (Stop, b'{"run": "r", "graceful": 1}'),
        (RunnerReport, b'{"run": "r", "index": 0, "uid": "u", "state": "Dancing"}'),
        (RunnerReport, b'{"run": "r", "index": 0, "uid": "u", "state": "Armed", "setup": {"state": "odd"}}'),
        (RunnerReport, b'{"run": "r", "index": 0, "uid": "u", "state": "Armed", "setup": 3}'),
    ],
)
def test_garbage_is_no_message(kind, data):
    """A body that isn't the message raises MessageError and nothing else."""
    with pytest.raises(MessageError):
        kind.decode(data)
