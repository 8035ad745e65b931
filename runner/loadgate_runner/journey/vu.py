"""A virtual user: iterates a compiled scenario, and comes back from whatever happens in it."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from .errors import Exhausted, Interrupted, ValueFault
from .state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .compile import Act
    from .context import Context
    from .data import Source
    from .ports import Tally
    from .secrets import Secrets

Ready = Callable[[], Awaitable[None]]
"""What has to be done before the first iteration. Raises JourneyError."""

FAILURES_METRIC: Final = "iterations_failed"
"""The counter of iterations that an error in the journey itself ended, tagged with the error's kind."""

_TRACEBACKS_KEPT: Final = 5
_KINDS_KEPT: Final = 20
_LONGEST_TRACEBACK: Final = 4_000


class Outcome(StrEnum):
    """How an iteration ended. It is true where the virtual user can do another one."""

    COMPLETED = "completed"
    FAILED = "failed"
    """By an error in the journey itself; requests and checks that fail don't end an iteration."""
    INTERRUPTED = "interrupted"
    EXHAUSTED = ""
    """There was no row left in a `unique` source: the virtual user can do no more, and this iteration didn't begin."""


_COMPLETED: Final = Outcome.COMPLETED  # looking a member up by its class costs more than an empty call


class Failures:
    """What went wrong in a scenario's journeys: each counted by kind, the first few told in the log."""

    def __init__(self, scenario: str, tags: dict[str, str], context: Context, secrets: Secrets) -> None:
        self._tags = {**tags, "scenario": scenario}
        self._context = context
        self._secrets = secrets
        self._counts: Counter[str] = Counter()

    def add(self, error: Exception | SystemExit) -> None:
        """Count an error, and log it if it is one of its kind's first."""
        kind = type(error).__name__
        kind = kind if kind in self._counts or len(self._counts) < _KINDS_KEPT else "other"
        self._counts[kind] += 1
        tags = tuple(sorted({**self._tags, "error": kind}.items()))
        self._context.recorder.counter(FAILURES_METRIC, tags).add(1)
        if self._counts[kind] <= _TRACEBACKS_KEPT:
            self._context.log(self._secrets.redact(self._told(error)))

    def _told(self, error: Exception | SystemExit) -> str:
        where = f"scenario {self._tags['scenario']}: an iteration failed: "
        if isinstance(error, ValueFault):
            return where + str(error)
        # From the journey's own frame on: ours above it say nothing.
        own = error.__traceback__.tb_next if error.__traceback__ else None
        lines = traceback.format_exception(type(error), error, own or error.__traceback__)
        return where + "".join(lines)[-_LONGEST_TRACEBACK:]


class Journey:
    """A scenario, compiled."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a scenario comes to
        self,
        name: str,
        acts: Sequence[Act],
        sources: Sequence[Source],
        context: Context,
        failures: Failures,
        ready: Ready,
    ) -> None:
        self.name = name
        self.acts = acts
        self.sources = sources
        self.context = context
        self.failures = failures
        self.ready = ready
        """To be awaited before the first iteration, with the target's token there. Raises JourneyError."""

    def new_vu(self, vu_id: int, tally: Tally) -> VU:
        """Return a virtual user that counts its iterations in `tally`; ids count from 1 over the whole run."""
        return VU(self, State(vu_id, self.context.client(), self.context.seed), tally)


class VU:
    """One virtual user. It keeps its connections; variables and cookies are each iteration's own, as in k6."""

    __slots__ = ("_acts", "_clock", "_journey", "_sources", "_tally", "state")

    def __init__(self, journey: Journey, state: State, tally: Tally) -> None:
        self._clock = journey.context.clock
        self._journey = journey
        self._acts = journey.acts
        self._sources = journey.sources
        self._tally = tally
        self.state = state

    async def iterate(self, number: int, due_ns: int | None = None) -> Outcome:
        """Do the scenario's iteration `number`, and count it. Raises only CancelledError, when its task is cancelled.

        `due_ns` is when an open model had it due, on the context's clock: how late it begins is its first request's,
        and what is counted begins then. All is in one coroutine, since each layer of them costs every iteration.
        """
        state, tally = self.state, self._tally
        due = began = self._clock()
        if due_ns is None:
            state.late_ns = None
        else:
            due = min(due_ns, began)
            state.late_ns = began - due
            tally.late(due, began)
        state.number = number
        state.vars.clear()
        if state.cookies.size:
            state.cookies.clear()
        try:
            for source in self._sources:
                state.rows[source.name] = source.take(state)
            for act, then in self._acts:
                then(state, await act(state))
        except asyncio.CancelledError:
            tally.interrupted(due)
            raise
        except Interrupted:
            tally.interrupted(due)
            return Outcome.INTERRUPTED
        except Exhausted as error:
            self._journey.context.recorder.data_exhausted(error.source)
            if due_ns is not None:
                tally.dropped(due)
            return Outcome.EXHAUSTED
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a journey's own code ends its iteration, not the VU
            self._journey.failures.add(error)
            tally.failed(due, self._clock())
            return Outcome.FAILED
        finally:
            state.iteration += 1
        tally.completed(due, self._clock())
        return _COMPLETED

    async def close(self) -> None:
        """Close its connections."""
        self.state.client.close()
