"""Trace ids on a share of requests (W3C Trace Context, https://www.w3.org/TR/trace-context/).

A request that isn't sampled carries nothing at all. With the flag `00` in its place, a target that follows its callers
would trace none of them: it would have less to do than with its real callers, and look faster than it is.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .state import State

HEADER: Final = "traceparent"

_SAMPLED: Final = b"-01\r\n"
_SMALLEST_SHARE: Final = 1e-15


class Tracing:
    """One scenario's. What is drawn follows from the run's id, the scenario and the virtual user, and nothing else.

    So the same names give the same ids, and no two runs have any in common.
    """

    __slots__ = ("_factor", "_seed")

    def __init__(self, share: float, run: str, scenario: str) -> None:
        self._seed = f"{run}/{scenario}/"
        self._factor = 0.0 if share >= 1 else 1 / math.log1p(-max(share, _SMALLEST_SHARE))

    def line(self, state: State) -> bytes:
        """Return the header of the virtual user's next request, with its line's end; nothing where it isn't sampled.

        `state.trace` is the id then, and None without one.
        """
        left = state.untraced
        if left > 0:
            state.untraced = left - 1
            state.trace = None
            return b""
        if left < 0:  # its first request: how many come before the first that is sampled
            state.untraced = self._gap(self._draw(state))
            return self.line(state)
        drawn = self._draw(state)
        state.untraced = self._gap(drawn)
        state.trace, parent = ids(drawn)
        return b"traceparent: 00-" + state.trace.encode("ascii") + b"-" + parent.encode("ascii") + _SAMPLED

    def _draw(self, state: State) -> bytes:
        """32 bytes that nobody else draws."""
        number = state.draws
        state.draws = number + 1
        return hashlib.blake2b(f"{self._seed}{state.id}/{number}".encode(), digest_size=32).digest()

    def _gap(self, drawn: bytes) -> int:
        """How many requests aren't sampled until the next one is, each having the same chance to be (geometric)."""
        chance = (int.from_bytes(drawn[24:], "big") + 1) / (1 << 64)  # over 0, up to 1
        return int(math.log(chance) * self._factor)


def ids(drawn: bytes) -> tuple[str, str]:
    """Return a trace id and a parent id of 24 bytes; neither is all zeros, which would be invalid (3.2.2)."""
    trace = int.from_bytes(drawn[:16], "big") or 1
    parent = int.from_bytes(drawn[16:24], "big") or 1
    return f"{trace:032x}", f"{parent:016x}"
