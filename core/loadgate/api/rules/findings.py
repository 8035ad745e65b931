"""A look into raw values that may have any shape, and the faults that are found there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from loadgate.api.faults import Fault
from loadgate.api.grammar.errors import GrammarError
from loadgate.api.paths import Path, format_path

T = TypeVar("T")


@dataclass(frozen=True)
class Node:
    """A value in a manifest and where it stands. What has another shape than asked for reads as not there."""

    path: Path
    value: Any

    def __getitem__(self, key: str) -> "Node":
        """The value under the key; null where there is none."""
        return Node((*self.path, key), self.value.get(key) if isinstance(self.value, dict) else None)

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and self.value.get(key) is not None

    @property
    def given(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    @property
    def text(self) -> str | None:
        """The value, if it is a text."""
        return self.value if isinstance(self.value, str) else None

    @property
    def number(self) -> int | None:
        """The value, if it is a whole number."""
        return self.value if isinstance(self.value, int) and not isinstance(self.value, bool) else None

    @property
    def keys(self) -> list[str]:
        """The keys that have a value."""
        return [key for key in self.value if key in self] if isinstance(self.value, dict) else []

    def each(self) -> Iterator["Node"]:
        """The entries of a list."""
        for index, item in enumerate(self.value if isinstance(self.value, list) else ()):
            yield Node((*self.path, index), item)

    def entries(self) -> Iterator[tuple[str, "Node"]]:
        """The entries of an object, nulls included."""
        for key in self.value if isinstance(self.value, dict) else ():
            yield key, self[key]


MAX_FAULTS = 200
"""How many faults are looked for; who has mended these can ask again."""


class TooManyFaults(Exception):  # noqa: N818 (says why the search ends; nothing went wrong with it)
    """Enough was found: the search ends here, so that no manifest can keep it busy for long."""


class Findings:
    """The faults found so far."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def add(self, node: Node, message: str, hint: str = "") -> None:
        """Note a fault at the node; TooManyFaults where there are enough."""
        if len(self.faults) >= MAX_FAULTS:
            raise TooManyFaults
        self.faults.append(Fault(format_path(node.path), message, hint))

    def parsed(self, node: Node, parse: Callable[[Any], T]) -> T | None:
        """What the node's value parses to; None, and a fault, where it doesn't."""
        try:
            return parse(node.value)
        except GrammarError as error:
            self.add(node, error.message, error.hint)
            return None

    def one_of(self, node: Node, names: tuple[str, ...], *, required: bool = True) -> None:
        """Demand that exactly one of these fields is given, or at most one."""
        given = [name for name in names if name in node]
        if len(given) > 1:
            self.add(node, f"has {' and '.join(given)}", f"keep one of {', '.join(names)}")
        elif required and not given:
            self.add(node, f"needs one of {', '.join(names)}")
