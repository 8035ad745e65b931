"""What is wrong with a manifest: where, what, and what would be right."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One mistake in a manifest; `path` is empty where the whole document is meant, lines and columns count from 1."""

    path: str
    message: str
    hint: str = ""
    file: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """`file:line:column: path: message (hint)`, without the parts that aren't known."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part not in ("", None))
        text = ": ".join(part for part in (place, self.path, self.message) if part)
        return f"{text} ({self.hint})" if self.hint else text


class InvalidSpec(Exception):  # noqa: N818 (named for what it says of the manifest, as the condition's reason is)
    """A manifest that can't be used as it is; carries every fault found in it. Its author must act."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = list(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))
