"""Which response statuses a check accepts: a number, a class (`2xx`), a range (`200..204`), or a list of these.

gRPC's statuses are names (`OK`). Where statuses are numbers, so that one kind of sample is enough, they stand behind
HTTP's: `OK`, which is 0 on the wire, is 1000.
"""

import re
from collections.abc import Sequence
from typing import Final

from .errors import GrammarError, did_you_mean

GRPC_STATUSES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""gRPC's statuses, each at its number on the wire (https://grpc.io/docs/guides/status-codes/)."""
GRPC_OK: Final = 1000
"""The number that stands for gRPC's `OK`; the others follow it."""

_HINT = "statuses are written like 200, 2xx, 200..204 or a list of these"
_FIRST, _LAST = 100, 999
_NUMBER = re.compile(r"[0-9]{3}")
_CLASS = re.compile(r"([1-5])xx", re.IGNORECASE)
_RANGE = re.compile(r"([0-9]{3})\.\.([0-9]{3})")


def parse_status(value: object) -> frozenset[int]:
    """Return the accepted statuses: HTTP's within 100..999, gRPC's from GRPC_OK on."""
    if isinstance(value, str):
        return _parse_text(value.strip())
    if isinstance(value, int) and not isinstance(value, bool):
        return _span(value, value)
    if isinstance(value, Sequence) and value:
        if any(isinstance(item, Sequence) and not isinstance(item, str) for item in value):
            raise GrammarError("a list of statuses holds no other list", hint=_HINT)
        return frozenset[int]().union(*(parse_status(item) for item in value))
    raise GrammarError(f"{value!r} is no status", hint=_HINT)


def status_tag(status: int) -> str:
    """A status as samples carry it: gRPC's by name, HTTP's as a number, 0 without an answer."""
    known = GRPC_OK <= status < GRPC_OK + len(GRPC_STATUSES)
    return GRPC_STATUSES[status - GRPC_OK] if known else str(status)


def describe_status(value: object) -> str:
    """Return what a check on this status is called after `status is`, e.g. `200` or `2xx or 304`."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " or ".join(describe_status(item) for item in value)
    return str(value).strip()


def _parse_text(text: str) -> frozenset[int]:
    if text in GRPC_STATUSES:
        return frozenset({GRPC_OK + GRPC_STATUSES.index(text)})
    if _NUMBER.fullmatch(text):
        return _span(int(text), int(text))
    if found := _CLASS.fullmatch(text):
        first = int(found[1]) * 100
        return _span(first, first + 99)
    if found := _RANGE.fullmatch(text):
        return _span(int(found[1]), int(found[2]))
    meant = did_you_mean(text[:64].upper(), GRPC_STATUSES)
    raise GrammarError(f"{text[:64]!r} is no status", hint=meant if meant.startswith("did") else _HINT)


def _span(first: int, last: int) -> frozenset[int]:
    if not _FIRST <= first <= last <= _LAST:
        raise GrammarError(f"statuses lie within {_FIRST}..{_LAST}, in rising order", hint=_HINT)
    return frozenset(range(first, last + 1))
