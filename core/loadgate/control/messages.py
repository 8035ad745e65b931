"""What operator and runner say to each other, and the states that a runner goes through."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Self

import orjson

LONGEST_TEXT = 2000
"""Characters of a text in a message; a longer one is cut. It may hold what a target or a script wrote."""


class MessageError(ValueError):
    """The body is not this message."""


class RunnerState(StrEnum):
    """A runner's life. It goes forward only; Failed is a runner that could not arm, and its message says why."""

    ARMING = "Arming"
    ARMED = "Armed"
    RUNNING = "Running"
    STOPPING = "Stopping"
    FINISHED = "Finished"
    FAILED = "Failed"


class BlockState(StrEnum):
    """Where a setup or teardown block stands in the runner that was told to run it."""

    NONE = "none"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class _Message:
    """JSON in and out; unknown fields are let pass, so that a newer side may say more."""

    def encode(self) -> bytes:
        """JSON, in UTF-8."""
        return orjson.dumps(asdict(self))

    @classmethod
    def decode(cls, data: bytes | str) -> Self:
        """Read a message. Raises MessageError."""
        try:
            document = orjson.loads(data)
            return cls.read({f.name: document[f.name] for f in fields(cls) if f.name in document})
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise MessageError(f"not a {cls.__name__} message: {str(error)[:300]}") from error

    @classmethod
    def read(cls, known: dict[str, Any]) -> Self:
        """Make a message of the fields that it knows; a field of the wrong kind is an error."""
        for name, value in known.items():
            kind = _KINDS.get(name)
            if kind and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
                raise TypeError(f"{name} is {type(value).__name__}")
        return cls(**{name: _cut(value) for name, value in known.items()})


def _cut(value: Any) -> Any:
    return f"{value[: LONGEST_TEXT - 1]}…" if isinstance(value, str) and len(value) > LONGEST_TEXT else value


_KINDS: dict[str, Any] = {
    "run": str,
    "uid": str,
    "message": str,
    "reason": str,
    "index": int,
    "sequence": int,
    "in_seconds": (int, float),
    "offset": (int, float),
    "elapsed": (int, float),
    "clock": (int, float),
    "graceful": bool,
    "setup": dict,
    "values": dict,
}


@dataclass(frozen=True)
class RunMessage(_Message):
    """`/arm` and `/setup`: which run is meant. A runner of another run answers 409 and does nothing."""

    run: str


@dataclass(frozen=True)
class Start(_Message):
    """`/start`: begin `in_seconds` from receipt at the place `offset` (seconds) of the schedule.

    Durations, not instants, so that clocks needn't agree. `setup` holds what the setup block extracted.
    """

    run: str
    in_seconds: float
    offset: float = 0.0
    setup: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stop(_Message):
    """`/stop`: end the load, with each scenario's gracefulStop or at once. May be said again, to hurry."""

    run: str
    graceful: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Teardown(_Message):
    """`/teardown`: run the teardown block once, after load, with what setup extracted."""

    run: str
    setup: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ack(_Message):
    """`/ack`: the operator holds the snapshot `sequence`; a finished runner whose last one it is may exit."""

    run: str
    sequence: int


@dataclass(frozen=True)
class BlockReport(_Message):
    """How setup or teardown went. `values` are the extracted variables; they may be secret: never stored."""

    state: BlockState = BlockState.NONE
    values: dict[str, Any] = field(default_factory=dict)
    message: str = ""

    @classmethod
    def read(cls, known: dict[str, Any]) -> Self:
        """As any message; the state must be one of BlockState's."""
        return super().read({**known, "state": BlockState(str(known.get("state", BlockState.NONE))[:20])})


@dataclass(frozen=True)
class RunnerReport(_Message):
    """`/state`, and the answer to everything else: the runner's whole state.

    `index` and `uid` say which pod of the Job it is; `elapsed` is the run's time in seconds since the planned
    start (0 before it); `sequence` is that of the newest snapshot; `clock` the runner's own, in Unix seconds.
    """

    run: str
    index: int
    uid: str
    state: RunnerState
    message: str = ""
    elapsed: float = 0.0
    sequence: int = 0
    clock: float = 0.0
    setup: BlockReport = field(default_factory=BlockReport)
    teardown: BlockReport = field(default_factory=BlockReport)

    @classmethod
    def read(cls, known: dict[str, Any]) -> Self:
        """As any message; states must be known ones, and blocks whole."""
        plain = {name: value for name, value in known.items() if name not in {"setup", "teardown"}}
        checked = super().read({**plain, "state": RunnerState(str(known["state"])[:20])})
        setup, teardown = (BlockReport.decode(orjson.dumps(known.get(name, {}))) for name in ("setup", "teardown"))
        return replace(checked, setup=setup, teardown=teardown)
