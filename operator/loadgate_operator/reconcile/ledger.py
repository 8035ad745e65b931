"""A run's ledger: what was decided about it, written to its own Job before it is done, so that no crash can undo it.

The Job's annotation holds which pods were chosen and when load begins before any of them is told to begin, which pod
runs setup and teardown, and why the run was ended early. An operator that finds a ledger goes on from it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import orjson
from loadgate.api.conditions import DoubtReason, Outcome

ANNOTATION = "loadgate.dev/ledger"
"""On our Job only, never on a user's object."""


class LedgerError(ValueError):
    """The annotation is not a ledger that this version wrote."""


@dataclass(frozen=True)
class End:
    """Why a run ends before its load is through: what became of it, a reason for machines and a message for people.

    `doubt` is the doubt that it puts on the verdict, if any; `graceful` lets iterations finish; `at` is Unix seconds.
    """

    outcome: Outcome
    reason: str
    message: str
    at: float
    doubt: DoubtReason | None = None
    graceful: bool = True


@dataclass(frozen=True)
class Ledger:
    """`chosen` pod uids by index; `start_at` the planned start in Unix seconds; seconds of load and of its tail.

    `setup_asked` says that the first chosen pod may have been told to run setup; `teardown` is the uid of the one pod
    that may have been told to run teardown.
    """

    chosen: tuple[str, ...] = ()
    start_at: float | None = None
    duration: float = 0.0
    tail: float = 0.0
    warmup: float = 0.0
    setup_asked: bool = False
    teardown: str | None = None
    end: End | None = None

    def encode(self) -> str:
        """JSON, for the annotation."""
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what `encode` wrote. Raises LedgerError."""
        try:
            document: dict[str, Any] = orjson.loads(text)
            known = {f.name: document[f.name] for f in fields(cls)}
            known["chosen"] = tuple(str(uid) for uid in known["chosen"])
            known["end"] = known["end"] and _end(known["end"])
            return cls(**known)
        except (TypeError, ValueError, KeyError) as error:
            raise LedgerError(f"not a ledger: {error}") from error


def _end(document: dict[str, Any]) -> End:
    doubt = document["doubt"]
    return End(
        outcome=Outcome(document["outcome"]),
        reason=str(document["reason"]),
        message=str(document["message"]),
        at=float(document["at"]),
        doubt=DoubtReason(doubt) if doubt else None,
        graceful=bool(document["graceful"]),
    )
