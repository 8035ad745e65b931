"""The run cut into slices of time, so that plots over time are exact and a long run stays small.

A slice begins one second wide. When there are too many, neighbours merge in pairs and the width doubles, so the
widths of any two runners' slices are powers of two and the finer ones always fit into the coarser.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from loadgate.metrics.fields import count, measure, text
from loadgate.metrics.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

_K = TypeVar("_K", bound="Hashable")
_V = TypeVar("_V")

MOST_SLICES = 256
"""So a run of a day has slices of 512 s, and a snapshot with slices stays under a few hundred kB."""


@dataclass(slots=True)
class Slice:
    """What happened in one slice: all samples, warm-up included, by when a request began or was due.

    `vu_seconds` is the time integral of the number of VUs, in seconds: it can be added over runners and over
    slices, and divided by the width it is the average number of VUs.
    """

    duration: Histogram = field(default_factory=Histogram)
    requests: int = 0
    failed: int = 0
    iterations: int = 0
    dropped: int = 0
    vu_seconds: float = 0.0
    sent: int = 0
    received: int = 0
    endpoints: dict[str, Histogram] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)

    def merge(self, *others: Slice) -> None:
        """Add other slices' samples to this one's."""
        self.duration.merge(*(other.duration for other in others))
        for other in others:
            self.requests += other.requests
            self.failed += other.failed
            self.iterations += other.iterations
            self.dropped += other.dropped
            # Rounded to the microsecond, so that the order of adding can't be seen in the last bits.
            self.vu_seconds = round(self.vu_seconds + other.vu_seconds, 6)
            self.sent += other.sent
            self.received += other.received
            for kind, n in other.errors.items():
                self.errors[kind] = self.errors.get(kind, 0) + n
        for name, histograms in grouped(other.endpoints for other in others).items():
            self.endpoints.setdefault(name, Histogram()).merge(*histograms)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; what is zero or empty is left out."""
        plain: dict[str, Any] = {
            key: value
            for key in ("requests", "failed", "iterations", "dropped", "vu_seconds", "sent", "received", "errors")
            if (value := getattr(self, key))
        }
        if self.duration.count:
            plain["duration"] = self.duration.to_json()
        if self.endpoints:
            plain["endpoints"] = {name: h.to_json() for name, h in sorted(self.endpoints.items())}
        return plain

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Slice:
        """Read what `to_json` wrote."""
        return cls(**{key: _READ[key](value) for key, value in document.items()})


_READ: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("requests", "failed", "iterations", "dropped", "sent", "received"), count),
    "vu_seconds": measure,
    "duration": Histogram.from_json,
    "endpoints": lambda found: {text(name): Histogram.from_json(h) for name, h in found.items()},
    "errors": lambda found: {text(kind): count(n) for kind, n in found.items()},
}


@dataclass(slots=True)
class Slices:
    """Slices by index: slice `i` covers `[i * width, (i + 1) * width)` seconds of the run."""

    width: int = 1
    by_index: dict[int, Slice] = field(default_factory=dict)

    def at(self, elapsed: float) -> Slice:
        """The slice that holds the instant `elapsed` seconds into the run; coarsens when there are too many."""
        index = max(0, int(elapsed // self.width))
        found = self.by_index.get(index)
        if found is not None:
            return found
        while index >= MOST_SLICES:
            self.coarsen(self.width * 2)
            index = int(elapsed // self.width)
        return self.by_index.setdefault(index, Slice())

    def coarsen(self, width: int) -> None:
        """Merge neighbours until slices are `width` seconds wide (a power of two, no finer than now)."""
        factor = width // self.width
        coarse: dict[int, Slice] = {}
        for index, piece in self.by_index.items():
            coarse.setdefault(index // factor, Slice()).merge(piece)
        self.width, self.by_index = width, coarse

    def merge(self, *others: Slices) -> None:
        """Add other runners' slices, at the coarsest of all widths."""
        width = max([self.width, *(other.width for other in others)])
        if self.width < width:
            self.coarsen(width)
        pieces: dict[int, list[Slice]] = {}
        for other in others:
            factor = width // other.width
            for index, piece in other.by_index.items():
                pieces.setdefault(index // factor, []).append(piece)
        for index, several in pieces.items():
            self.by_index.setdefault(index, Slice()).merge(*several)

    def to_json(self) -> dict[str, Any]:
        """`{width, slices: {index: slice}}`, indexes ascending."""
        return {"width": self.width, "slices": {str(i): self.by_index[i].to_json() for i in sorted(self.by_index)}}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Slices:
        """Read what `to_json` wrote. Raises ValueError for a width that isn't a power of two."""
        width = document["width"]
        if type(width) is not int or width < 1 or width & (width - 1):
            raise ValueError("a slice's width is a power of two")
        return cls(width, {count(int(i)): Slice.from_json(piece) for i, piece in document["slices"].items()})


def grouped(tables: Iterable[Mapping[_K, _V]]) -> dict[_K, list[_V]]:
    """The values of each key over all tables."""
    out: dict[_K, list[_V]] = {}
    for table in tables:
        for key, value in table.items():
            if key in out:
                out[key].append(value)
            else:
                out[key] = [value]
    return out
