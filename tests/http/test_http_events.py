"""Server-sent events out of bytes, as the standard has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate_runner.http.events import Event, EventParser, TooLarge


def parsed(*pieces, limit=1000):
    """The events of a stream in these pieces."""
    parser = EventParser(limit)
    return [event for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: one\n\n", [Event("message", "one", "")]),
        (b"data:one\r\n\r\ndata:  two\r\r", [Event("message", "one", ""), Event("message", " two", "")]),
        (b"\xef\xbb\xbfdata: one\n\n", [Event("message", "one", "")]),
        (b": hello\n\ndata: a\n: in between\ndata: b\ndata\n\n", [Event("message", "a\nb\n", "")]),
        (b"event: add\nid: 7\ndata: x\n\ndata: y\n\n", [Event("add", "x", "7"), Event("message", "y", "7")]),
        (b"id: a\nid: b\0\nretry: 10\nodd: 1\ndata: x\n\n", [Event("message", "x", "a", 10)]),
        (
            b"retry: 5\n\ndata: x\n\nretry: 7s\nretry: -1\ndata: y\n\n",
            [Event("message", "x", "", 5), Event("message", "y", "", 5)],
        ),
        (b"retry: 9999999999999999\ndata: x\n\n", [Event("message", "x", "")]),
        (b"event: nothing\n\ndata: x\n\n", [Event("message", "x", "")]),
        (b"data: not whole\n", []),
        (b"data: \xff\xc3\xbc\n\n", [Event("message", "\ufffdü", "")]),
        (b"data: a: b\n\n\n\n", [Event("message", "a: b", "")]),
    ],
)
def test_a_stream_means_these_events(stream, events):
    """Line ends of three kinds, a byte order mark, comments, fields without a value, unknown fields."""
    assert parsed(stream) == events


@given(
    st.lists(
        st.sampled_from([b"data: x", b"data", b"event: e", b"id: 1", b"retry: 2", b": c", b"", b"", b"\xef\xbb\xbf"]),
        max_size=12,
    ),
    st.lists(st.sampled_from([b"\n", b"\r", b"\r\n"]), min_size=12, max_size=12),
)
def test_where_a_stream_is_split_makes_no_difference(lines, ends):
    """Byte by byte the events are those of the whole."""
    stream = b"".join(line + end for line, end in zip(lines, ends, strict=False))
    assert parsed(*(stream[at : at + 1] for at in range(len(stream)))) == parsed(stream)


@pytest.mark.parametrize(
    "pieces",
    [[b"x" * 101], [b"x" * 60, b"x" * 60], [b"data: " + b"x" * 60 + b"\n"] * 2, [b"data: x\n"] * 20, [b"id: x\n"] * 30],
)
def test_an_event_is_bounded(pieces):
    """A line without an end, or an event without one, is given up at the limit."""
    with pytest.raises(TooLarge):
        parsed(*pieces, limit=100)


def test_what_is_no_part_of_an_event_has_no_bound():
    """Comments and whole events go on for as long as they like."""
    assert len(parsed(*[b": still here\n", b"data: x\n\n"] * 100, limit=20)) == 100
