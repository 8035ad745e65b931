"""Custom metrics of a Python journey: made at their first use, by the name that thresholds know them by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from loadgate.metrics.names import BUILT_IN

from .errors import ValueFault

if TYPE_CHECKING:
    from .ports import MetricSeries
    from .workshop import Workshop

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_MOST: Final = 1_000


class Metrics:
    """Gives metrics by type and name: `counter("orders").add(1)`, `rate("found").add(True)`."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._made: dict[tuple[str, str, tuple[tuple[str, str], ...]], MetricSeries] = {}

    def counter(self, name: str, **tags: str) -> MetricSeries:
        """A sum."""
        return self._series("counter", name, tags)

    def gauge(self, name: str, **tags: str) -> MetricSeries:
        """The latest value."""
        return self._series("gauge", name, tags)

    def rate(self, name: str, **tags: str) -> MetricSeries:
        """How often a value is true."""
        return self._series("rate", name, tags)

    def trend(self, name: str, **tags: str) -> MetricSeries:
        """A distribution, with percentiles."""
        return self._series("trend", name, tags)

    def _series(self, kind: str, name: str, tags: dict[str, str]) -> MetricSeries:
        key = (kind, name, tuple(sorted(tags.items())))
        series = self._made.get(key)
        if series is not None:
            return series
        if not _NAME.fullmatch(name) or name in BUILT_IN:
            raise ValueFault(
                f"{name!r} can't be a metric of your own: letters, digits and _, and no built-in one's name"
            )
        make = getattr(self._shop.recorder, kind)
        redact = self._shop.scope.secrets.redact
        own = {key: redact(str(value)) for key, value in tags.items()}
        scenario = self._shop.scope.scenario
        made: MetricSeries = make(name, tuple(sorted({**self._shop.tags, "scenario": scenario, **own}.items())))
        if len(self._made) < _MOST:
            self._made[key] = made
        return made
