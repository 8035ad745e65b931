"""Which names a template may use where it stands, and what to say of one that it may not."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from loadgate.api.grammar import template

from .findings import Findings, Node

RESERVED = frozenset({path[0] for path in template.BUILT_IN_NAMES} | set(template.NAME_SPACES))
"""First words of names that are always there, which no variable may take."""

_MOST_COMPARED = 500
"""Names that a hint is sought among: comparing is slow, and a manifest may have any number."""


@dataclass
class Scope:
    """The names that are known at one place of a journey; variables grow step by step."""

    secrets: frozenset[str] = frozenset()
    data: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    """Columns by data source; None where they stand in a file."""
    setup: frozenset[str] = frozenset()
    in_setup: bool = False
    variables: set[str] = field(default_factory=set)

    def check(self, findings: Findings, node: Node) -> None:
        """Find templates in the node's value, however deep, that don't parse or use names that aren't known."""
        for item, name in _names(node):
            if "${" in name:
                findings.add(item, f"the name {name[:40]!r} must not hold ${{…}}", "values may, names may not")
        for text in _texts(node):
            parsed = findings.parsed(text, template.parse)
            for path in sorted(parsed.names()) if parsed else ():
                self.check_name(findings, text, path)

    def check_name(self, findings: Findings, node: Node, path: tuple[str, ...]) -> None:
        """Find fault with a name that isn't known here."""
        if path in template.BUILT_IN_NAMES:
            return
        if path[0] in template.NAME_SPACES:
            self._declared(findings, node, path)
        elif path[0] in RESERVED:
            known = [".".join(name) for name in template.BUILT_IN_NAMES]
            findings.add(node, f"there is no name {'.'.join(path)!r}", _hint(".".join(path), known))
        elif path[0] not in self.variables:
            findings.add(node, f"nothing before this gives {path[0]!r} a value", self._variable_hint(path))
        elif len(path) > 1:
            findings.add(
                node, f"{'.'.join(path)!r}: a variable has no fields", "extract the field into a variable of its own"
            )

    def _declared(self, findings: Findings, node: Node, path: tuple[str, ...]) -> None:
        space, *rest = path
        if len(path) != template.NAME_SPACES[space]:
            form = "data.SOURCE.COLUMN" if space == "data" else f"{space}.NAME"
            findings.add(node, f"{'.'.join(path)!r} is not a whole name", f"write ${{{form}}}")
        elif space == "secret" and rest[0] not in self.secrets:
            findings.add(node, f"spec.secrets declares no {rest[0]!r}", _hint(rest[0], self.secrets))
        elif space == "data":
            self._column(findings, node, rest[0], rest[1])
        elif space == "setup" and self.in_setup:
            findings.add(node, "setup has no results while it runs", f"within setup, write ${{{rest[0]}}}")
        elif space == "setup" and rest[0] not in self.setup:
            findings.add(node, f"setup extracts no {rest[0]!r}", _hint(rest[0], self.setup))

    def _column(self, findings: Findings, node: Node, source: str, column: str) -> None:
        if source not in self.data:
            findings.add(node, f"spec.data has no {source!r}", _hint(source, self.data))
            return
        columns = self.data[source]
        if columns is not None and column not in columns:
            findings.add(node, f"the data {source!r} has no column {column!r}", _hint(column, columns))

    def _variable_hint(self, path: tuple[str, ...]) -> str:
        name = ".".join(path)
        if name in template.FUNCTIONS:
            return f"a function is called: ${{{template.FUNCTIONS[name].usage}}}"
        for space, names in (("secret", self.secrets), ("setup", self.setup), ("data", self.data)):
            if path[0] in names:
                return f"did you mean '{'.'.join((space, *path))}'?"
        return _hint(path[0], self.variables | {".".join(known) for known in template.BUILT_IN_NAMES})


def _hint(word: str, known: Mapping[str, object] | frozenset[str] | set[str] | list[str]) -> str:
    names = sorted(known)[:_MOST_COMPARED]
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names[:20])}" if names else "nothing of the kind is declared"


def _names(node: Node) -> Iterator[tuple[Node, str]]:
    for item in node.each():
        yield from _names(item)
    for name, item in node.entries():
        yield item, name
        yield from _names(item)


def _texts(node: Node) -> Iterator[Node]:
    if node.text is not None:
        yield node
    for item in node.each():
        yield from _texts(item)
    for _, item in node.entries():
        yield from _texts(item)
