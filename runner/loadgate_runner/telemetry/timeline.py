"""The slice of time that is being filled: the hot path counts here, whole slices are made when a second is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.metrics import Slice, Slices
from loadgate_runner.telemetry.track import Track

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgate.metrics import Histogram

SECOND = 1_000_000_000
NOT_YET = 1 << 62
"""Nanoseconds; an instant that no clock reaches."""

MOST_ENDPOINTS = 50
"""Endpoints with a histogram of their own in each slice: the first ones met. The others count in the total only."""


class Timeline:
    """The run in slices. Whoever records looks at `ends` first and calls `roll` when that is over.

    A slice that was put away is never changed, only replaced, so that a view can be read by another thread.
    """

    def __init__(self) -> None:
        self.origin = NOT_YET
        self.judged_from = NOT_YET
        """What begins before is the warm-up's."""
        self.ends = NOT_YET
        self.failed = 0
        self.iterations = 0
        self.dropped = 0
        self.sent = 0
        self.received = 0
        self.errors: dict[str, int] = {}
        self.active = 0
        self.most_active = 0
        self._slices = Slices()
        self._tracks: dict[str, Track] = {}
        self._rest = Track()
        self._vu_ns = 0
        self._counted_to = 0

    def track(self, name: str) -> Track:
        """Where an endpoint's durations are counted."""
        found = self._tracks.get(name)
        if found is None and len(self._tracks) < MOST_ENDPOINTS:
            found = self._tracks[name] = Track()
        return found or self._rest

    def begin(self, origin: int, now: int) -> None:
        """The run's second 0 is at `origin`, and recording begins now (both in nanoseconds)."""
        self.origin = origin
        self._counted_to = now
        self.ends = origin + (self._index(now) + 1) * self._width

    def vus(self, change: int, now: int) -> None:
        """So many more (or fewer) VUs are at work."""
        if now >= self.ends:
            self.roll(now)
        self._vu_ns += self.active * max(0, now - self._counted_to)
        self._counted_to = now
        self.active += change
        self.most_active = max(self.most_active, self.active)

    def roll(self, now: int) -> None:
        """Put away each slice that is over."""
        while now >= self.ends:
            ends = self.ends
            self._vu_ns += self.active * max(0, ends - self._counted_to)
            self._counted_to = ends
            self._put_away(ends - self._width)
            # Putting away may have made slices wider.
            self.ends = self.origin + (self._index(ends) + 1) * self._width

    def view(self, now: int) -> Slices:
        """All slices so far, the current one included."""
        if now >= self.ends:
            self.roll(now)
        slices = Slices(self._slices.width, dict(self._slices.by_index))
        if self.origin != NOT_YET:
            vu_ns = self._vu_ns + self.active * max(0, now - self._counted_to)
            piece = self._slice(
                ((name, track.copy()) for name, track in self._tracks.items()), self._rest.copy(), vu_ns
            )
            _replace(slices, (now - self.origin) / SECOND, piece)
        return slices

    @property
    def _width(self) -> int:
        return self._slices.width * SECOND

    def _index(self, at: int) -> int:
        return max(0, (at - self.origin) // self._width)

    def _put_away(self, begins: int) -> None:
        piece = self._slice(((name, t.take()) for name, t in self._tracks.items()), self._rest.take(), self._vu_ns)
        self.failed = self.iterations = self.dropped = self.sent = self.received = self._vu_ns = 0
        self.errors = {}
        _replace(self._slices, max(0, begins - self.origin) / SECOND, piece)

    def _slice(self, tracks: Iterable[tuple[str, Histogram]], rest: Histogram, vu_ns: int) -> Slice:
        endpoints = {name: histogram for name, histogram in tracks if histogram.count}
        for histogram in endpoints.values():
            rest.merge(histogram)
        return Slice(
            duration=rest,
            requests=rest.count,
            failed=self.failed,
            iterations=self.iterations,
            dropped=self.dropped,
            vu_seconds=round(vu_ns / SECOND, 6),
            sent=self.sent,
            received=self.received,
            endpoints=endpoints,
            errors={str(kind): n for kind, n in self.errors.items()},  # plain strings, as JSON wants its keys
        )


def _replace(slices: Slices, elapsed: float, piece: Slice) -> None:
    present = slices.at(elapsed)
    merged = Slice()
    merged.merge(present)
    merged.merge(piece)
    slices.by_index[int(elapsed // slices.width)] = merged
