"""Faults as a good compiler shows them."""

import io

from hypothesis import given
from hypothesis import strategies as st

from loadgate.api.faults import Fault
from loadgate_cli.diagnostics import count, render, to_json
from loadgate_cli.terminal import Paint

PLAIN = Paint(io.StringIO())
FAULT = Fault("spec.a", "is wrong", "write it right", "t.yaml", 2, 4)


def test_a_fault_has_place_path_line_and_hint():
    """The place can be clicked on, the line is there, and a sign stands under the column."""
    assert render([FAULT], {"t.yaml": "spec:\n   a: 1\n"}, PLAIN) == (
        "t.yaml:2:4: spec.a: is wrong\n    2 |    a: 1\n      |    ^\n  hint: write it right"
    )


def test_a_fault_without_a_place_is_said_all_the_same():
    """What belongs to no file has no line to show."""
    assert render([Fault("", "nothing is there")], {}, PLAIN) == "nothing is there"


def test_faults_come_in_the_order_of_their_places():
    """Whoever mends a file goes from top to bottom."""
    text = render([Fault("b", "second", file="f", line=9, column=1), Fault("a", "first", file="f", line=1)], {}, PLAIN)
    assert text.index("first") < text.index("second")


def test_count_in_words():
    """One fault is singular, and files are named when there are several."""
    assert count([FAULT]) == "1 fault"
    assert count([FAULT, FAULT]) == "2 faults"
    assert count([FAULT, Fault("", "x", file="other")]) == "2 faults in 2 files"


def test_data_leaves_out_what_is_not_known():
    """A fault as JSON has only what it has."""
    assert to_json(Fault("p", "m")) == {"path": "p", "message": "m"}


@given(st.integers(1, 2000), st.integers(0, 1500))
def test_a_long_line_is_cut_around_the_fault(column: int, length: int):
    """However long the line, the sign stands under the character that is meant, and the line stays short."""
    line = "".join(chr(0x4E00 + index) for index in range(max(length, column)))
    shown = render([Fault("", "m", file="f", line=1, column=column)], {"f": line}, PLAIN).splitlines()
    source, sign = shown[1].partition("| ")[2], shown[2].partition("| ")[2]
    assert len(source) <= 160
    assert source[sign.index("^")] in (line[column - 1], "…")


def test_control_characters_command_no_terminal():
    """A manifest from anywhere can't move the cursor or set a title when its line is shown."""
    shown = render([Fault("a\x1b[2J", "m\x07", file="f", line=1, column=1)], {"f": "\x1b]0;owned\x07"}, PLAIN)
    assert not {"\x1b", "\x07"} & set(shown)
