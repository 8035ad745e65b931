"""Connections that fail for want of something of our own are told apart from those that the target refused."""

import errno
import os

import pytest

from loadgate_runner.http import Shortage


def noted(number, **more):
    """What is counted of a connection that failed with an error of that number."""
    shortage = Shortage(**more)
    shortage.note(OSError(number, os.strerror(number)))
    return shortage.descriptors, shortage.ports, shortage.buffers


@pytest.mark.parametrize(
    ("number", "counted"),
    [
        (errno.EMFILE, (1, 0, 0)),
        (errno.ENFILE, (1, 0, 0)),
        (errno.EADDRNOTAVAIL, (0, 1, 0)),
        (errno.ENOBUFS, (0, 0, 1)),
        (errno.ENOMEM, (0, 0, 1)),
        (errno.ECONNREFUSED, (0, 0, 0)),
        (errno.ENETUNREACH, (0, 0, 0)),
        (errno.ETIMEDOUT, (0, 0, 0)),
    ],
)
def test_only_what_is_ours_is_counted(number, counted):
    """Descriptors, ports and buffers are this machine's; a refusal or a missing answer is not."""
    assert noted(number) == counted


def test_nothing_is_counted_outside_of_the_judged_time():
    """Who asks for it says when."""
    assert noted(errno.EMFILE, counting=lambda: False) == (0, 0, 0)


def test_an_error_without_a_number_is_none_of_ours():
    """As a time limit raises."""
    shortage = Shortage()
    shortage.note(TimeoutError())
    assert (shortage.descriptors, shortage.ports, shortage.buffers) == (0, 0, 0)
