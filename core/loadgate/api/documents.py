"""Files of manifests: every document in them, as a model where it can be one, with all faults and their lines."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .base import Model
from .faults import Fault, InvalidSpec
from .grammar.errors import did_you_mean
from .loadtest import API_VERSION
from .paths import Path, format_path, parse_path
from .validate import validate_budget, validate_loadtest
from .yamltree import Place, Tree, Wrong, read

__all__ = ["Document", "duplicates", "load", "validate_budget", "validate_loadtest"]

_KINDS: dict[str, str] = {
    "LoadTest": API_VERSION,
    "PerformanceBudget": API_VERSION,
    "ConfigMap": "v1",
    "Secret": "v1",
    "List": "v1",
}
_MODELS: dict[str, Callable[[Mapping[str, Any]], Model]] = {
    "LoadTest": validate_loadtest,
    "PerformanceBudget": validate_budget,
}
_CONTENTS = {"ConfigMap": ("data", "binaryData"), "Secret": ("data", "stringData")}


@dataclass
class Document:
    """One object of a file. `model` is None where there are faults, and for ConfigMaps and Secrets."""

    file: str
    line: int
    raw: dict[str, Any]
    kind: str
    model: Model | None
    faults: list[Fault]
    _tree: Tree = field(repr=False)
    _prefix: Path = ()

    def locate(self, path: str) -> tuple[int, int]:
        """Line and column of a path in the document, or of the nearest part that would hold it."""
        place = self._tree.locate((*self._prefix, *parse_path(path)))
        return place.line, place.column

    @property
    def identity(self) -> tuple[str, str, str]:
        """Kind, namespace and name; empty texts where the document doesn't say."""
        metadata = self.raw.get("metadata")
        names = metadata if isinstance(metadata, dict) else {}
        return self.kind, str(names.get("namespace") or "default"), str(names.get("name") or "")


def load(text: str, file: str = "") -> list[Document]:
    """Every document of a YAML (or JSON) stream, the items of Lists as documents of their own.

    Nothing is raised for bad input: it is in the documents' faults. A stream without any document gives one fault.
    """
    documents = [document for tree in read(text) for document in _documents(tree, file)]
    if not documents:
        nothing = Fault("", "there is no manifest in this file", file=file, line=1, column=1)
        documents.append(Document(file, 1, {}, "", None, [nothing], Tree(Place(1, 1))))
    return documents


def duplicates(documents: Iterable[Document]) -> list[Fault]:
    """A fault for each document that describes an object which one before it describes too."""
    seen: dict[tuple[str, str, str], Document] = {}
    faults: list[Fault] = []
    for document in documents:
        kind, namespace, name = document.identity
        first = seen.setdefault(document.identity, document) if name else document
        if first is not document:
            line, column = document.locate("metadata.name")
            message = f"{kind} {namespace}/{name} is described twice"
            hint = f"first in {first.file or 'the input'}, line {first.line}"
            faults.append(Fault("metadata.name", message, hint, document.file, line, column))
    return faults


def _documents(tree: Tree, file: str) -> Iterator[Document]:
    raw = tree.value
    if isinstance(raw, dict) and raw.get("kind") == "List" and isinstance(raw.get("items"), list) and not tree.wrongs:
        for index, item in enumerate(raw["items"]):
            yield _document(tree, file, item, ("items", index))
    else:
        yield _document(tree, file, raw, ())


def _document(tree: Tree, file: str, raw: Any, prefix: Path) -> Document:
    values = raw if isinstance(raw, dict) else {}
    kind = values.get("kind") if isinstance(values.get("kind"), str) else ""
    line = tree.locate(prefix).line
    document = Document(file, line, values, str(kind), None, [], tree, prefix)
    if tree.wrongs:
        faults = [_yaml_fault(wrong) for wrong in tree.wrongs]
        if raw is not None:
            faults += _placed(document, _read_into(document, raw))
    else:
        faults = _placed(document, _read_into(document, raw))
    document.faults = [dataclasses.replace(fault, file=file) for fault in faults]
    if document.faults:
        document.model = None
    return document


def _yaml_fault(wrong: Wrong) -> Fault:
    return Fault(format_path(wrong.path), wrong.message, wrong.hint, line=wrong.place.line, column=wrong.place.column)


def _placed(document: Document, faults: list[Fault]) -> list[Fault]:
    placed = []
    for fault in faults:
        line, column = document.locate(fault.path)
        placed.append(dataclasses.replace(fault, line=line, column=column))
    return placed


def _read_into(document: Document, raw: object) -> list[Fault]:
    """Validate the document by its kind, set its model, and return what is wrong."""
    if not isinstance(raw, dict):
        return [Fault("", "must be an object with apiVersion, kind, metadata and spec")]
    if faults := _kind_faults(raw):
        return faults
    if document.kind in _CONTENTS:
        return _contents_faults(raw, _CONTENTS[document.kind])
    if document.kind == "List":
        return [Fault("items", "must be a list of objects")]
    try:
        document.model = _MODELS[document.kind](raw)
    except InvalidSpec as error:
        return error.faults
    return []


def _kind_faults(raw: dict[str, Any]) -> list[Fault]:
    kind = raw.get("kind")
    if kind is None:
        return [Fault("kind", "is missing", f"one of {', '.join(_KINDS)}")]
    if not isinstance(kind, str) or kind not in _KINDS:
        return [Fault("kind", f"{kind!r} is not a kind that loadgate reads", did_you_mean(str(kind), _KINDS))]
    version = raw.get("apiVersion")
    if version != _KINDS[kind]:
        message = "is missing" if version is None else f"{version!r} has no {kind}"
        return [Fault("apiVersion", message, f"write {_KINDS[kind]}")]
    return []


def _contents_faults(raw: dict[str, Any], fields: tuple[str, ...]) -> list[Fault]:
    metadata = raw.get("metadata")
    faults: list[Fault] = []
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        faults.append(Fault("metadata.name", "is missing"))
    for name in fields:
        contents = raw.get(name)
        if contents is not None and not isinstance(contents, dict):
            faults.append(Fault(name, "must be an object of texts"))
        for key, value in contents.items() if isinstance(contents, dict) else ():
            if not isinstance(value, str):
                faults.append(Fault(format_path((name, key)), "must be a text", "put it in quotes, or after `|`"))
    return faults
