"""A run's ledger: what was decided about it, written to its own Job before it is done, so that no crash can undo it.

The Job's annotation holds which pods were chosen and when load begins before any of them is told to begin, which pod
runs setup and teardown, and why the run was ended early. An operator that finds a ledger goes on from it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import orjson

from loadgate.verdict import Doubt, LimitResult

ANNOTATION = "loadgate.dev/ledger"
"""On our Job only, never on a user's object."""


class LedgerError(ValueError):
    """The annotation is not a ledger that this version wrote."""


@dataclass(frozen=True)
class End:
    """Why a run ends before its load is through: a reason for machines, a message for people, when (Unix seconds).

    `aborted` says that it was called off, so that there is no verdict on the target. `graceful` lets iterations
    finish. `doubt` goes into the verdict; `crossed` are the abort thresholds that ended the run.
    """

    reason: str
    message: str
    at: float
    aborted: bool = False
    graceful: bool = False
    doubt: Doubt | None = None
    crossed: tuple[LimitResult, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        plain = {name: getattr(self, name) for name in ("reason", "message", "at", "aborted", "graceful")}
        doubt = self.doubt.to_json() if self.doubt else None
        return {**plain, "doubt": doubt, "crossed": [limit.to_json() for limit in self.crossed]}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        doubt = Doubt.from_json(document["doubt"]) if document["doubt"] else None
        crossed = tuple(LimitResult.from_json(limit) for limit in document["crossed"])
        return cls(**{**document, "doubt": doubt, "crossed": crossed})


@dataclass(frozen=True)
class Ledger:
    """`chosen` pod uids by index; `start_at` the planned start in Unix seconds; the plan's times in seconds.

    `setup` and `teardown` say whether the plan has such steps. `teardown_by` is the uid of the one pod that may have
    been told to run teardown, at `teardown_at`. `late` holds by how many seconds at most runners were told too
    late to begin, by index. `iterations` is how many the plan asks for in all, 0 where that isn't what ends it.
    """

    chosen: tuple[str, ...] = ()
    start_at: float | None = None
    duration: float = 0.0
    tail: float = 0.0
    warmup: float = 0.0
    iterations: int = 0
    setup: bool = False
    teardown: bool = False
    teardown_by: str = ""
    teardown_at: float = 0.0
    late: tuple[tuple[int, float], ...] = ()
    end: End | None = None

    def encode(self) -> str:
        """JSON, for the annotation."""
        document = {**asdict(self), "end": self.end.to_json() if self.end else None}
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what `encode` wrote. Raises LedgerError."""
        try:
            document: dict[str, Any] = orjson.loads(text)
            known = {f.name: document[f.name] for f in fields(cls)}
            known["chosen"] = tuple(str(uid) for uid in known["chosen"])
            known["late"] = tuple((int(index), float(seconds)) for index, seconds in known["late"])
            known["end"] = End.from_json(known["end"]) if known["end"] else None
            return cls(**known)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise LedgerError(f"not a ledger: {error}") from error
