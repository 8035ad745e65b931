"""One request of a Python journey under way: what it is called, and its record once it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .observe import UNAUTHENTICATED, UNAUTHORIZED, due_of, is_expected, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgate_runner.http import Response

    from .kit import Kit
    from .state import State


class Called(NamedTuple):
    """Under what a request is recorded, and which statuses of it are no failures."""

    name: str
    method: str
    group: str
    status: Any = None
    tags: Mapping[str, str] | None = None


class Noting:
    """Made as the request begins. Others of the same user may begin, and end, before this one has ended."""

    __slots__ = ("_accepted", "_kit", "_late", "_series", "_state", "_trace", "called")

    def __init__(self, called: Called, state: State, kit: Kit) -> None:
        self.called = called
        self._state = state
        self._kit = kit
        self._accepted = kit.accepted(called.status)
        self._series = kit.request_series(called.name, called.method, called.group, called.tags)
        self._late, state.late_ns = state.late_ns, None
        self._trace: str | None = None

    def sent(self) -> None:
        """It was put together: the id that it carries, where it carries one, is its own."""
        self._trace, self._state.trace = self._state.trace, None

    def done(self, response: Response) -> None:
        """Record what came of it."""
        state, kit = self._state, self._kit
        state.late_ns = self._late
        expected, due = is_expected(response, self._accepted), due_of(state, response)
        record(self._series, state, response, expected=expected)
        if response.status in {UNAUTHORIZED, UNAUTHENTICATED} and kit.tokens is not None:
            kit.tokens.refused()
        if self._trace is not None:
            kit.trace_series(self.called.name).keep(self._trace, response, expected, due)
