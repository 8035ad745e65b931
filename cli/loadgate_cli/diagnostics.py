"""Faults shown like a good compiler does: the place, what is wrong, the line itself, and what would be right."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from loadgate.api.faults import Fault
from loadgate_cli.terminal import Paint

_WIDEST = 160
"""Characters of a source line that are shown; a longer one is cut around the fault."""


def render(faults: Sequence[Fault], texts: Mapping[str, str], paint: Paint) -> str:
    """All faults, one paragraph each, in the order of their places; `texts` holds the files' contents."""
    return "\n".join(_paragraph(fault, texts.get(fault.file, ""), paint) for fault in in_order(faults))


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Sorted by place, those without one first within their file."""
    return sorted(faults, key=lambda fault: (fault.file, fault.line or 0, fault.column or 0))


def count(faults: Sequence[Fault]) -> str:
    """How many there are, in words: `3 faults in 2 files`."""
    files = len({fault.file for fault in faults if fault.file})
    many = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return many if files < 2 else f"{many} in {files} files"


def to_json(fault: Fault) -> dict[str, Any]:
    """A fault as data."""
    return {name: value for name, value in asdict(fault).items() if value not in ("", None)}


def _visible(text: str) -> str:
    """The text with a dot for whatever could command a terminal; as long as before, so that columns stay."""
    return "".join(sign if sign.isprintable() else "·" for sign in text)


def _paragraph(fault: Fault, text: str, paint: Paint) -> str:
    place = ":".join(str(part) for part in (fault.file, fault.line, fault.column) if part not in ("", None))
    head = [paint.bold(f"{_visible(place)}:")] if place else []
    if fault.path:
        head.append(f"{_visible(fault.path)}:")
    lines = [" ".join([*head, paint.bad(_visible(fault.message))])]
    lines += _excerpt(fault, text, paint)
    if fault.hint:
        lines.append(f"  {paint.hint('hint:')} {_visible(fault.hint)}")
    return "\n".join(lines)


def _excerpt(fault: Fault, text: str, paint: Paint) -> list[str]:
    lines = text.splitlines()
    if fault.line is None or not 1 <= fault.line <= len(lines):
        return []
    number = f"{fault.line:5d} "
    column = max(fault.column or 1, 1)
    source, column = _cut(_visible(lines[fault.line - 1].replace("\t", " ")), column)
    shown = [f"{paint.faint(number + '|')} {source}".rstrip()]
    if fault.column is not None:
        shown.append(f"{paint.faint(' ' * len(number) + '|')} {' ' * (column - 1)}{paint.bad('^')}")
    return shown


def _cut(line: str, column: int) -> tuple[str, int]:
    """The part of a long line around the column, and the column in it."""
    if len(line) <= _WIDEST:
        return line, column
    start = max(0, min(column - 1 - _WIDEST // 2, len(line) - _WIDEST))
    part = line[start : start + _WIDEST]
    return ("…" + part[1:] if start else part), column - start
