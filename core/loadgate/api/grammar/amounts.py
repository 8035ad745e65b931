"""Durations and sizes as they stand inside other texts (`<500ms`, `1s..3s`, `<64KiB`)."""

import re

from loadgate.api.units import Duration

from .errors import GrammarError

_LONGEST_TEXT = 64
_DURATION_HINT = "durations are written like 500ms, 1.5s or 2m30s"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s?(B|kB|KB|MB|GB|KiB|MiB|GiB|Ki|Mi|Gi)?", re.ASCII)
_UNIT_BYTES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}


def parse_duration(text: str) -> float:
    """Return the seconds of a duration (`1m30s`, `250ms`)."""
    if len(text) > _LONGEST_TEXT:
        raise GrammarError(f"{text[:_LONGEST_TEXT]!r}… is no duration", hint=_DURATION_HINT)
    try:
        return Duration(text).seconds
    except ValueError as error:
        raise GrammarError(str(error), hint=_DURATION_HINT) from error


def parse_size(text: str) -> float:
    """Return the bytes of a size (`512`, `64KiB`, `1.5MB`)."""
    found = _SIZE.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if found is None:
        raise GrammarError(f"{text[:_LONGEST_TEXT]!r} is not a size", hint="sizes are written like 512, 64KiB or 1.5MB")
    return float(found[1]) * _UNIT_BYTES[found[2] or "B"]
