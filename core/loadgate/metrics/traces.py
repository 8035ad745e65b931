"""Ids of traced requests that are worth looking up at the target: an endpoint's slowest, and its failed ones by kind.

What is kept is chosen by a total order over what a request was, never by when it was met. So two of these merge in any
order and any grouping to the same, and their size is bounded whatever a run does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from loadgate.metrics.fields import count, number, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SLOWEST = 5
"""So many of the slowest are kept of an endpoint."""

FAILED = 2
"""So many of the first failed requests of a kind are kept, and so many of the last."""

MOST_KINDS = 8
"""Kinds of failure of one endpoint; of more, those that come first in the alphabet are kept."""

MOST_NAMES = 100
"""Endpoints that ids are kept of; of more, those that come first in the alphabet."""

_ID = re.compile(r"[0-9a-f]{32}")
_LONGEST_KIND = 32


class Trace(NamedTuple):
    """One traced request: what its kind of failure was (empty: none), when it ended (milliseconds of the run), how
    long it took (microseconds), and its trace id (32 hex digits).
    """

    kind: str
    at: int
    duration: int
    id: str

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read the list that one is written as. Raises ValueError for anything else."""
        kind, at, duration, found = document
        if not _ID.fullmatch(text(found)) or len(text(kind)) > _LONGEST_KIND:
            raise ValueError(
                f"a trace is a kind of {_LONGEST_KIND} characters at most and an id of 32 hexadecimal digits"
            )
        return cls(kind, round(number(at)), count(duration), found)


@dataclass(slots=True)
class TraceStats:
    """What is kept of one endpoint's traced requests: the slowest in their order, and by kind what failed, in time."""

    slowest: list[Trace] = field(default_factory=list)
    failed: dict[str, list[Trace]] = field(default_factory=dict)

    @classmethod
    def of(cls, traces: Sequence[Trace]) -> Self:
        """What is kept of these."""
        out = cls(slowest_of(traces))
        out._fail(trace for trace in traces if trace.kind)
        return out

    def merge(self, *others: Self) -> None:
        """Keep of all what would be kept if one had seen it."""
        self.slowest = slowest_of([*self.slowest, *(trace for other in others for trace in other.slowest)])
        self._fail([trace for other in others for several in other.failed.values() for trace in several])

    def _fail(self, traces: Iterable[Trace]) -> None:
        found = {kind: list(several) for kind, several in self.failed.items()}
        for trace in traces:
            found.setdefault(trace.kind, []).append(trace)
        self.failed = {kind: _ends_of(found[kind]) for kind in sorted(found)[:MOST_KINDS]}

    def to_json(self) -> dict[str, Any]:
        """A JSON object; each request is the list of its parts."""
        failed = [list(trace) for several in self.failed.values() for trace in several]
        return {"slowest": [list(trace) for trace in self.slowest], "failed": failed}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote, and no more of it than is kept."""
        out = cls(slowest_of(Trace.from_json(one) for one in document["slowest"]))
        out._fail(Trace.from_json(one) for one in document["failed"])
        return out


def slowest_of(traces: Iterable[Trace]) -> list[Trace]:
    """The slowest, the slowest first; of equal ones those that came first."""
    return sorted(set(traces), key=lambda trace: (-trace.duration, trace.at, trace.id, trace.kind))[:SLOWEST]


def _ends_of(traces: Iterable[Trace]) -> list[Trace]:
    """The first and the last, in the order of time."""
    ordered = sorted(set(traces), key=lambda trace: (trace.at, trace.id, trace.duration))
    return ordered if len(ordered) <= 2 * FAILED else ordered[:FAILED] + ordered[-FAILED:]


def bounded(table: dict[str, TraceStats]) -> dict[str, TraceStats]:
    """The endpoints that are kept of a table."""
    return table if len(table) <= MOST_NAMES else {name: table[name] for name in sorted(table)[:MOST_NAMES]}
