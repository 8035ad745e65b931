"""Setup and teardown: steps that one runner does once, outside of what is measured, and that have to succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .compile import compile_steps
from .errors import BlockError, Exhausted, Interrupted, ValueFault
from .state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgate.api.steps import Step
    from loadgate_runner.http import Response

    from .context import Context
    from .ports import CheckSeries, MetricSeries, RequestSeries, Tags, TraceSeries
    from .workshop import Workshop


async def run_block(name: str, steps: Sequence[Step], shop: Workshop, context: Context) -> dict[str, Any]:
    """Do the steps once and return what they extracted. Raises BlockError at the first request or check that fails."""
    state = State(0, context.client(), context.seed)
    run = compile_steps(steps, shop)
    try:
        await shop.prepare(state.client)
        for source in shop.scope.used:
            state.rows[source] = shop.scope.sources[source].take(state)
        await run(state)
    except (ValueFault, Exhausted) as error:
        raise BlockError(f"{name}: {error}") from error
    except Interrupted:
        raise BlockError(f"{name} was interrupted") from None
    finally:
        state.client.close()
    return dict(state.vars)


class StrictRecorder:
    """Counts nothing; the first failure of a request or a check ends the block."""

    def __init__(self, block: str) -> None:
        self._block = block

    def request_series(self, tags: Tags) -> RequestSeries:
        """Refuses requests that fail."""
        return _StrictRequests(self._block, dict(tags)["name"])

    def check_series(self, tags: Tags) -> CheckSeries:
        """Refuses checks that fail."""
        found = dict(tags)
        return _StrictChecks(self._block, found["name"], found["check"])

    def trace_series(self, name: str) -> TraceSeries:  # noqa: ARG002 - the protocol's
        """No request of a block is traced."""
        return _Nothing()

    def counter(self, name: str, tags: Tags) -> MetricSeries:  # noqa: ARG002 - the protocol's
        """Steps have no custom metrics."""
        return _Nothing()

    gauge = rate = trend = counter

    def data_exhausted(self, source: str) -> None:
        """Said by the block's own error."""


class _StrictRequests:
    def __init__(self, block: str, name: str) -> None:
        self._told = f"{block}: request {name!r}"

    def record(self, response: Response, expected: bool, due_ns: int | None) -> None:  # noqa: ARG002, FBT001 - a port's
        if not expected:
            came = response.message or f"status {response.status}"
            raise BlockError(f"{self._told} failed: {came} ({response.method} {response.url.partition('?')[0]})")


class _StrictChecks:
    def __init__(self, block: str, name: str, check: str) -> None:
        self._told = f"{block}: check {check!r} of request {name!r} failed"

    def record(self, ok: bool) -> None:  # noqa: FBT001 - a port's
        if not ok:
            raise BlockError(self._told)


class _Nothing:
    def add(self, value: float) -> None:
        """Nowhere."""

    def keep(self, trace: str, response: Response, expected: bool, due_ns: int | None) -> None:  # noqa: FBT001 - a port's
        """Nowhere."""
