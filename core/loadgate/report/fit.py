"""A result made to fit where it is kept: plots get coarser, never the figures that are judged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loadgate.metrics import Histogram, Measurement, Slices
from loadgate.metrics.histogram import BUCKETS
from loadgate.metrics.slices import Slice
from loadgate.report.result import ResultError
from loadgate.verdict import by_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadgate.report.result import Result

ROOM = 900_000
"""Bytes. A ConfigMap holds 1 MiB; the rest is for its metadata and for growing."""

_FEWEST_SLICES = 32
_DRAWN_ENDPOINTS = 10


def fit(result: Result, room: int = ROOM) -> tuple[Result, bytes]:
    """The result as it will be kept, and its encoded form of at most `room` bytes.

    What is given up comes in steps, each said in `notes`: first the precision of endpoints' plots over time, then all
    but the busiest endpoints in them, then the width of slices, then endpoints over time at all. Raises ResultError
    if that isn't enough, which takes thousands of tag sets.
    """
    encoded = result.encode()
    if len(encoded) <= room:
        return result, encoded
    for slices, note in _coarser(result.measurement):
        smaller = replace(result, measurement=replace(result.measurement, slices=slices), notes=(*result.notes, note))
        encoded = smaller.encode()
        if len(encoded) <= room:
            return smaller, encoded
    raise ResultError(
        f"the result takes {len(encoded)} bytes where {room} are kept: too many different request names or tags; "
        "name requests (request.name) and keep ids out of names and tags"
    )


def _coarser(measurement: Measurement) -> Iterator[tuple[Slices, str]]:
    """Ever smaller slices, each with what was given up."""
    slices = _mapped(measurement.slices, _rounded)
    lost = "percentiles of single endpoints over time are rounded to 3 %"
    yield slices, f"To fit, {lost}."
    drawn = {figures.name for figures in by_endpoint(measurement, _DRAWN_ENDPOINTS)}
    slices = _mapped(slices, lambda name, histogram: histogram if name in drawn else None)
    lost += f", and only the {_DRAWN_ENDPOINTS} busiest endpoints are kept over time"
    yield slices, f"To fit, {lost}."
    while len(slices.by_index) > _FEWEST_SLICES:
        slices = _mapped(slices, lambda _, histogram: histogram)
        slices.coarsen(slices.width * 2)
        yield slices, f"To fit, {lost}, in slices of {slices.width} s."
    yield (
        _mapped(slices, lambda *_: None),
        f"To fit, endpoints are not kept over time, and slices are {slices.width} s.",
    )


def _mapped(slices: Slices, keep: Callable[[str, Histogram], Histogram | None]) -> Slices:
    """A copy in which each endpoint's histogram is what `keep` makes of it, or is gone."""
    out = Slices(slices.width)
    for index, piece in slices.by_index.items():
        kept = {name: kept for name, histogram in piece.endpoints.items() if (kept := keep(name, histogram))}
        copy = Slice()
        copy.merge(replace(piece, endpoints=kept))
        out.by_index[index] = copy
    return out


def _rounded(_: str, histogram: Histogram) -> Histogram:
    """The same samples in buckets eight times as wide: at most 3.2 % off in place of 0.4 %."""
    out = histogram.copy()
    out.counts = {}
    for index, n in histogram.counts.items():
        wide = min(index & ~7 | 4, BUCKETS - 1)
        out.counts[wide] = out.counts.get(wide, 0) + n
    return out
