"""YAML read into JSON's values, with the line and column of every part and every fault at its place.

Not PyYAML's own constructor, because a manifest comes from anywhere: duplicate keys are faults rather than the last one
winning, aliases can't be made to fill the memory, depth and size are bounded, and texts that only look like dates or
base-60 numbers stay texts, as they do for Kubernetes.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from .paths import Path

MAX_BYTES = 4 << 20
"""How large a file may be."""
MAX_NODES = 200_000
"""How many values a document may have once its aliases are written out."""
MAX_DEPTH = 64
"""How deep values may stand inside one another."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    word: value
    for value, words in ((True, "true yes on"), (False, "false no off"))
    for lower in words.split()
    for word in (lower, lower.capitalize(), lower.upper())
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]{0,18})")
_BASED = re.compile(r"([-+]?)0(?:x([0-9a-fA-F]{1,15})|o?([0-7]{1,20})|b([01]{1,60}))")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CORE_TAGS = frozenset({f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")})
_STRING_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class Place:
    """A line and a column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Wrong:
    """Something wrong with the YAML itself."""

    path: Path
    message: str
    hint: str
    place: Place


@dataclass
class Tree:
    """A document: its value, where each part of it stands, and what is wrong with it as YAML."""

    place: Place
    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    wrongs: list[Wrong] = field(default_factory=list)

    def locate(self, path: Path) -> Place:
        """Where the path stands, or else the nearest part of the document that would hold it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.place)


class _Stop(Exception):  # noqa: N818 (ends the reading of a stream, and is no error of ours)
    def __init__(self, message: str, place: Place, hint: str = "") -> None:
        super().__init__(message)
        self.wrong = Wrong((), message, hint, place)


@dataclass(frozen=True)
class _Scalar:
    text: str
    tag: str | None
    plain: bool
    place: Place


@dataclass(frozen=True)
class _Sequence:
    items: list["_Node"]
    place: Place


@dataclass(frozen=True)
class _Mapping:
    pairs: list[tuple["_Node", "_Node"]]
    place: Place


_Node = _Scalar | _Sequence | _Mapping


def read(text: str) -> list[Tree]:
    """Every document of a stream that isn't empty; where the stream breaks off, the last one says why."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return [_broken(Wrong((), f"the file is larger than {MAX_BYTES >> 20} MiB", "", Place(1, 1)))]
    trees: list[Tree] = []
    try:
        for node in _Composer(text).documents():
            tree = Tree(node.place)
            tree.value = _Builder(tree).build(node, (), 0)
            if tree.value is not None or tree.wrongs:
                trees.append(tree)
    except _Stop as stop:
        trees.append(_broken(stop.wrong))
    except yaml.MarkedYAMLError as error:
        trees.append(_broken(Wrong((), _syntax(error), "", _place(error.problem_mark or error.context_mark))))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        trees.append(_broken(Wrong((), f"not YAML: {error.reason}", "", place)))
    except UnicodeEncodeError as error:
        trees.append(_broken(Wrong((), f"not YAML: {error.reason}", "", Place(1, 1))))
    return trees


def _broken(wrong: Wrong) -> Tree:
    return Tree(wrong.place, wrongs=[wrong])


def _syntax(error: yaml.MarkedYAMLError) -> str:
    return "not YAML: " + " ".join(part for part in (error.context, error.problem) if part)


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)


class _Composer:
    """Turns PyYAML's events into nodes, one document at a time."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, _Node] = {}

    def documents(self) -> Iterator[_Node]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
                yield self._node(next(self._events), 0)

    def _node(self, event: Any, depth: int) -> _Node:
        place = _place(event.start_mark)
        if depth > MAX_DEPTH:
            raise _Stop(f"values stand more than {MAX_DEPTH} deep inside one another", place)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, place)
        node = self._value(event, depth, place)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, anchor: str | None, place: Place) -> _Node:
        node = self._anchors.get(anchor or "")
        if node is None:
            raise _Stop(f"the alias *{anchor} stands for nothing before it", place, f"set &{anchor} first")
        return node

    def _value(self, event: Any, depth: int, place: Place) -> _Node:
        tag = None if event.tag in (None, "!") else event.tag
        if tag is not None and tag not in _CORE_TAGS:
            raise _Stop(f"the tag {tag} is not supported", place, "write the value without a tag")
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style in (None, "") and event.tag != "!"
            return _Scalar(event.value, tag, plain, place)
        if isinstance(event, yaml.SequenceStartEvent):
            return _Sequence(list(self._until(yaml.SequenceEndEvent, depth)), place)
        parts = list(self._until(yaml.MappingEndEvent, depth))
        return _Mapping(list(zip(parts[::2], parts[1::2], strict=True)), place)

    def _until(self, end: type, depth: int) -> Iterator[_Node]:
        while not isinstance(event := next(self._events), end):
            yield self._node(event, depth + 1)


class _Builder:
    """Turns nodes into values, noting where each stands."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._nodes = 0

    def build(self, node: _Node, path: Path, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise _Stop("the aliases in this document stand for too much", self._tree.place, "write fewer of them")
        self._tree.places.setdefault(path, node.place)
        match node:
            case _Scalar():
                return self._scalar(node, path)
            case _Sequence(items):
                return [self.build(item, (*path, index), depth + 1) for index, item in enumerate(items)]
            case _Mapping(pairs):
                return self._mapping(pairs, path, depth)

    def _mapping(self, pairs: list[tuple[_Node, _Node]], path: Path, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, node in pairs:
            if not isinstance(key, _Scalar):
                self._wrong(path, "a key must be a text", key.place)
            elif key.text == "<<" and key.plain:
                self._merge(merged, node, path, depth)
            elif key.text in values:
                self._wrong((*path, key.text), "this key is there twice", key.place, "remove one of them")
            else:
                self._tree.places[(*path, key.text)] = key.place
                values[key.text] = self.build(node, (*path, key.text), depth + 1)
        return {**merged, **values}

    def _merge(self, merged: dict[str, Any], node: _Node, path: Path, depth: int) -> None:
        for source in node.items if isinstance(node, _Sequence) else [node]:
            if isinstance(source, _Mapping):
                merged.update({**self._mapping(source.pairs, path, depth + 1), **merged})
            else:
                self._wrong(path, "<< merges objects only", source.place)

    def _scalar(self, node: _Scalar, path: Path) -> Any:
        if node.tag == _STRING_TAG or not (node.plain or node.tag):
            return node.text
        value = _resolve(node.text)
        if isinstance(value, float) and not math.isfinite(value):
            self._wrong(path, f"{node.text} is not a number that JSON knows", node.place)
        return value

    def _wrong(self, path: Path, message: str, place: Place, hint: str = "") -> None:
        self._tree.wrongs.append(Wrong(path, message, hint, place))


def _resolve(text: str) -> Any:
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", ""))
    if based := _BASED.fullmatch(text):
        sign, sixteen, eight, two = based.groups()
        number = int(sixteen, 16) if sixteen else int(eight, 8) if eight else int(two, 2)
        return -number if sign == "-" else number
    if _FLOAT.fullmatch(text):
        return float(text)
    return math.nan if _NOT_FINITE.fullmatch(text) else text
