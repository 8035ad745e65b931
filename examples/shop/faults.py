"""The switches that make the shop worse: latency, errors and stalls, set at the start or while it runs."""

import random
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with the shop just now; all zero is healthy."""

    latency: float = 0.0
    """Seconds added to each answer, give or take a fifth."""
    error_rate: float = 0.0
    """The share of requests, 0 to 1, that are answered 503."""
    stall_every: float = 0.0
    """Seconds from one stall to the next; 0 for none."""
    stall_for: float = 0.0
    """Seconds that every request of a stall waits, at most (until the stall ends)."""

    @classmethod
    def from_json(cls, raw: Any) -> Self:
        """Read what POST /faults was sent; ValueError says what is wrong with it."""
        if not isinstance(raw, dict):
            raise ValueError(f"a JSON object is wanted with {_NAMES}")  # noqa: TRY004 - one kind of error for the caller
        for name, value in raw.items():
            if name not in cls.__slots__:
                raise ValueError(f"no switch {name!r}; there are {_NAMES}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST[name]:
                raise ValueError(f"{name} is a number from 0 to {_MOST[name]:g}")
        return cls(**{name: float(value) for name, value in raw.items()})

    def to_json(self) -> dict[str, float]:
        """The switches by name."""
        return asdict(self)

    def delay(self, now: float) -> float:
        """Seconds to hold a request that came at `now` (seconds since the shop opened)."""
        return self._stalled(now) + self.latency * random.uniform(0.8, 1.2)

    def fails(self) -> bool:
        """Whether this request is one of those that fail."""
        return random.random() < self.error_rate

    def _stalled(self, now: float) -> float:
        """What is left of a stall; each period begins healthy and ends stalled."""
        if not self.stall_every:
            return 0.0
        return min(self.stall_for, self.stall_every - now % self.stall_every) if self._in_stall(now) else 0.0

    def _in_stall(self, now: float) -> bool:
        return now % self.stall_every >= self.stall_every - self.stall_for


_MOST = {"latency": 60.0, "error_rate": 1.0, "stall_every": 3600.0, "stall_for": 3600.0}
_NAMES = ", ".join(_MOST)

PRESETS = {
    "none": Faults(),
    "slow": Faults(latency=0.7),
    "errors": Faults(error_rate=0.3),
    "stall": Faults(stall_every=6.0, stall_for=3.0),
}
