"""What is done with a response: the request recorded, checks counted, values taken out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from loadgate_runner.http.failures import ANSWERED

from .extract import MISSING, Extraction, parse_json

if TYPE_CHECKING:
    from loadgate_runner.http import Response

    from .checks import Test
    from .ports import Bearer, CheckSeries, RequestSeries, TraceSeries
    from .state import State


def is_expected(response: Response, accepted: frozenset[int] | None) -> bool:
    """Say whether a request succeeded: it got through, with an accepted status, or with 200..399 when none is named."""
    if response.error is not None:
        return False
    return 200 <= response.status < 400 if accepted is None else response.status in accepted


def record(series: RequestSeries, state: State, response: Response, *, expected: bool) -> None:
    """Record a request, and each redirect on its way.

    The first request of an iteration counts from so much before its start as the iteration began late: a target that
    held the iteration up is charged for that, and a pause before the request isn't.
    """
    hops, due = response.hops, due_of(state, response)
    state.late_ns = None
    if hops:
        for hop in hops:
            series.record(hop, True, due)
            due = None
    series.record(response, expected, due)


UNAUTHORIZED: Final = 401
UNAUTHENTICATED: Final = 1016
"""The same in gRPC's words."""

Observe = Callable[["State", "Response"], None]


def traced(observe: Observe, accepted: frozenset[int] | None, series: TraceSeries) -> Observe:
    """Return what observes a request as `observe` does, and keeps its trace's id where it has one."""
    keep = series.keep

    def observe_traced(state: State, response: Response) -> None:
        trace = state.trace
        if trace is None:
            observe(state, response)
            return
        state.trace = None
        due = due_of(state, response)
        observe(state, response)
        keep(trace, response, is_expected(response, accepted), due)

    return observe_traced


def renewing(observe: Observe, tokens: Bearer) -> Observe:
    """Return what observes a request as `observe` does, and says where its token was refused."""

    def observe_answer(state: State, response: Response) -> None:
        if response.status in {UNAUTHORIZED, UNAUTHENTICATED}:
            tokens.refused()
        observe(state, response)

    return observe_answer


def due_of(state: State, response: Response) -> int | None:
    """Return when a request was due that isn't recorded yet; None where it counts from its start."""
    late = state.late_ns
    return None if late is None else (response.hops[0] if response.hops else response).started - late


class Observer:
    """What is done with a request step's response: recorded, checked, values taken out of it."""

    __slots__ = ("_accepted", "_extractions", "_needs_document", "_record", "_series", "_tests")

    def __init__(
        self,
        series: RequestSeries,
        accepted: frozenset[int] | None,
        tests: list[tuple[Test, CheckSeries]],
        extractions: list[tuple[Extraction, CheckSeries | None]],
        *,
        needs_document: bool,
    ) -> None:
        self._series = series
        self._record = series.record
        self._accepted = accepted
        self._tests = tests
        self._extractions = extractions
        self._needs_document = needs_document

    def count(self, state: State, response: Response) -> None:
        """Record a request of which nothing else is asked: the hot path, so the plain case is written out."""
        if state.late_ns is None and not response.hops and self._accepted is None:
            self._record(response, response.error is None and 200 <= response.status < 400, None)
        else:
            record(self._series, state, response, expected=is_expected(response, self._accepted))

    def observe(self, state: State, response: Response) -> None:
        """Record, check, extract. Of a request that failed on its way all checks fail and nothing is found."""
        record(self._series, state, response, expected=is_expected(response, self._accepted))
        if response.error is not None and response.error not in ANSWERED:
            for _, checks in self._tests:
                checks.record(False)
            for extraction, required in self._extractions:
                state.vars[extraction.variable] = extraction.default
                if required is not None:
                    required.record(False)
            return
        document: Any = parse_json(response.body) if self._needs_document else MISSING
        for test, checks in self._tests:
            checks.record(test(state, response, document))
        for extraction, required in self._extractions:
            found = extraction.apply(state, response, document)
            if required is not None:
                required.record(found)
