"""What a runner hands over: its measurement so far, and how the runner itself is doing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import orjson

from loadgate.metrics.fields import count, flag, measure, number, text
from loadgate.metrics.measurement import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = 2


class SnapshotError(ValueError):
    """What came is not a snapshot of this version; the runner that sent it is treated as silent."""


@dataclass(frozen=True)
class Health:
    """A runner's own state over the judged time: was it the target, or was it us?

    Ratios are of what the runner is allowed (1.0 = all of it); times are seconds, memory bytes. `memory` is what counts
    against the memory limit, 0 where that isn't known. `began_late` is how much later than told the load began.
    `no_port`, `no_descriptor` and `no_buffer` are connections that couldn't be made here for want of one. `denied`
    connections, which load may not make, count from the very start; `first_denied` says of the first of them why.
    `tokens_lapsed` counts times without a valid token for the target, and `first_lapse` says of the first of them why.
    """

    cpu_ratio: float = 0.0
    cpu_ratio_max: float = 0.0
    throttled_ratio: float = 0.0
    lag_p99: float = 0.0
    lag_max: float = 0.0
    slip_p99: float = 0.0
    slip_max: float = 0.0
    began_late: float = 0.0
    rss: int = 0
    memory: int = 0
    memory_limit: int = 0
    fds: int = 0
    fd_limit: int = 0
    cores: float = 1.0
    processes: int = 1
    labels_dropped: int = 0
    data_exhausted: int = 0
    no_port: int = 0
    no_descriptor: int = 0
    no_buffer: int = 0
    denied: int = 0
    first_denied: str = ""
    tokens_lapsed: int = 0
    first_lapse: str = ""

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read a JSON object of its fields. Raises TypeError or ValueError for anything else."""
        plain: dict[str, Any] = {name: _HEALTH[name](value) for name, value in document.items()}
        return cls(**plain)


_READ: dict[type, Callable[[Any], Any]] = {int: count, float: measure, str: text}
_HEALTH = {f.name: _READ[type(f.default)] for f in fields(Health)}


@dataclass(frozen=True)
class Snapshot:
    """Counts since the start, monotone: a later one (by `sequence`) of a runner replaces any earlier one.

    `clock` is the runner's own, in Unix seconds; `elapsed` is the run's time in seconds since its planned start,
    warm-up included; `state` is one of control.RunnerState's. `complete` says that the runner did all that its
    share of the plan asked for, so that nothing is missing from the measurement. `size` is how many bytes the document
    had that it was read from; it is no part of what is said.
    """

    run: str
    runner: int
    uid: str
    sequence: int
    clock: float
    state: str
    elapsed: float
    complete: bool = False
    measurement: Measurement = field(default_factory=Measurement)
    health: Health = field(default_factory=Health)
    size: int = field(default=0, compare=False)

    def encode(self, *, slices: bool = True) -> bytes:
        """JSON, in UTF-8."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        body = {"measurement": self.measurement.to_json(slices=slices), "health": asdict(self.health)}
        return orjson.dumps({"version": VERSION, **plain, **body})

    @classmethod
    def decode(cls, data: bytes | str) -> Snapshot:
        """Read what `encode` wrote. Raises SnapshotError for anything else."""
        try:
            document: dict[str, Any] = orjson.loads(data)
            if document["version"] != VERSION:
                raise SnapshotError(f"snapshot version {document['version']!r}, expected {VERSION}")
            plain = {name: read(document[name]) for name, read in _PLAIN.items()}
            measurement = Measurement.from_json(document["measurement"])
            return cls(**plain, measurement=measurement, health=Health.from_json(document["health"]), size=len(data))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SnapshotError(f"not a snapshot: {str(error)[:300]}") from error


_PLAIN: dict[str, Any] = {
    "run": text,
    "runner": count,
    "uid": text,
    "sequence": count,
    "clock": number,
    "state": text,
    "elapsed": measure,
    "complete": flag,
}
