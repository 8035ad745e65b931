"""Begins VUs that are due at one instant a little apart: those that start together stay in phase and hit in bursts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate_runner.executors.events import Begin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgate.plan.share import Share

WINDOW = 0.1
"""Seconds. Longer than a fast target's answer, shorter than anyone sees in a plot."""

EACH = 0.0001
"""Seconds for each VU, so that thousands of them don't all connect in one tenth of a second."""

PART_OF_SCHEDULE = 0.01
"""A short scenario has a shorter window, so that spreading takes at most this part of its time."""

_GOLDEN = 0.618_033_988_749_894_9


def window(vus: int, length: float) -> float:
    """How far apart, in seconds, the first and the last of `vus` VUs begin; one alone begins at once."""
    return min(max(WINDOW, vus * EACH), length * PART_OF_SCHEDULE) if vus > 1 else 0.0


def begin_spread(at: float, vus: range, share: Share, within: float) -> Iterator[Begin]:
    """The share's VUs of `vus`, each beginning in `[at, at + within)`, in order of time.

    The place of a VU is its number times the golden ratio, modulo one: evenly spread however many there are and
    however they are dealt to runners, the same in each run, and VU 0 begins at once. So for `within` seconds after
    `at` fewer VUs iterate than the schedule says; from then on the number is exact.
    """
    owned = [vu for vu in vus if share.owns(vu)]
    for delay, vu in sorted(((vu - vus.start) * _GOLDEN % 1.0 * within, vu) for vu in owned):
        yield Begin(at + delay, vu)
