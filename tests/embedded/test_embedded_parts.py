"""Small parts of the embedded cluster: events, ports."""

import socket

import pytest

from loadgate_operator.cluster.local.events import MOST_EVENTS, record
from loadgate_operator.cluster.local.ports import FIRST, LAST, LOOPBACK, free_port
from loadgate_operator.cluster.local.store import Store
from loadgate_operator.cluster.port import Kind

ABOUT = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop", "uid": "u"}}


def test_a_repeated_event_is_counted():
    """The same words about the same object are one event, with how often and when first and last."""
    store = Store(clock=lambda: 0.0)
    for now in (10.0, 20.0, 30.0):
        record(store, ABOUT, ("Warning", "Lost", "runner 1 was lost"), now)
    record(store, ABOUT, ("Warning", "Lost", "runner 2 was lost"), 40.0)
    events = {event["message"]: event for event in store.list(Kind.EVENT, "shop")}
    assert len(events) == 2
    first = events["runner 1 was lost"]
    assert (first["count"], first["type"], first["reason"]) == (3, "Warning", "Lost")
    assert first["firstTimestamp"] < first["lastTimestamp"]
    assert first["involvedObject"]["uid"] == "u"


def test_only_so_many_events_are_kept():
    """An operator that runs for months keeps the newest events."""
    store = Store(clock=lambda: 0.0)
    for number in range(MOST_EVENTS + 3):
        record(store, ABOUT, ("Normal", "Run", f"run {number}"), float(number))
    messages = {event["message"] for event in store.list(Kind.EVENT, "")}
    assert len(messages) == MOST_EVENTS
    assert f"run {MOST_EVENTS + 2}" in messages
    assert "run 0" not in messages


def test_a_port_is_free_and_out_of_the_way():
    """Nobody listens on it, it isn't one of those that are taken, and outgoing connections don't use it."""
    port = free_port()
    assert FIRST <= port <= LAST
    with socket.socket() as listener:
        listener.bind((LOOPBACK, port))
        listener.listen()
        everything_else = set(range(FIRST, LAST + 1)) - {port}
        with pytest.raises(OSError, match="no free port"):
            free_port(everything_else)
    assert free_port(everything_else) == port
