"""Everything that a command was given, read and checked as a whole: manifests, what they refer to, and changes to them.

A fault belongs to one object, or to none: `up` goes on with the other objects, `run` starts nothing at all.
"""

import copy
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loadgate.api import documents
from loadgate.api.budget import PerformanceBudget
from loadgate.api.documents import Document
from loadgate.api.faults import Fault, InvalidSpec
from loadgate.api.loadtest import LoadTest
from loadgate.api.paths import format_path
from loadgate_cli import overrides
from loadgate_cli import references as refs
from loadgate_cli.credentials import Credential
from loadgate_cli.overrides import Override
from loadgate_cli.sources import Source

Identity = tuple[str, str, str]
"""An object's kind, namespace and name."""


_ORDER = {"Secret": 0, "ConfigMap": 1, "PerformanceBudget": 2, "LoadTest": 3}


@dataclass
class Entry:
    """One object: as it goes to the cluster, where it is from, and what is wrong with it."""

    raw: dict[str, Any]
    model: Any = None
    document: Document | None = None
    source: Source | None = None
    faults: list[Fault] = field(default_factory=list)

    @property
    def identity(self) -> Identity:
        """Kind, namespace and name; names are "" where the manifest has none."""
        metadata = self.raw.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        return (
            str(self.raw.get("kind", "")),
            str(metadata.get("namespace") or "default"),
            str(metadata.get("name", "")),
        )

    @property
    def test(self) -> LoadTest | None:
        """The model, where it is a LoadTest without faults of its own."""
        return self.model if isinstance(self.model, LoadTest) else None

    def fault(self, path: tuple[str | int, ...], message: str, hint: str = "") -> None:
        """Note what is wrong at a path of this object."""
        self.faults.append(self.at(Fault(format_path(path), message, hint)))

    def at(self, fault: Fault) -> Fault:
        """The fault with its place in the file."""
        if self.document is None:
            return fault
        line, column = self.document.locate(fault.path)
        return replace(fault, file=self.document.file, line=line, column=column)


@dataclass
class Bundle:
    """What was given, with all its faults."""

    entries: list[Entry] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    """Those that belong to no object."""
    texts: dict[str, str] = field(default_factory=dict)
    """Contents by file, to show the lines of faults."""

    @property
    def all_faults(self) -> list[Fault]:
        """Every fault."""
        return [*self.faults, *(fault for entry in self.entries for fault in entry.faults)]

    @property
    def tests(self) -> list[LoadTest]:
        """The valid LoadTests, in the order in which they were given."""
        return [entry.test for entry in self.entries if entry.test is not None and not entry.faults]

    @property
    def budgets(self) -> list[PerformanceBudget]:
        """The valid budgets."""
        return [e.model for e in self.entries if isinstance(e.model, PerformanceBudget) and not e.faults]

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The objects without faults, what others refer to first."""
        return [raw for raw, _ in self.identified]

    @property
    def identified(self) -> list[tuple[dict[str, Any], Identity]]:
        """The same, each with its identity."""
        sound = [(entry.raw, entry.identity) for entry in self.entries if not entry.faults]
        return sorted(sound, key=lambda pair: _ORDER[pair[1][0]])


def build(
    sources: Sequence[Source],
    *,
    changes: Sequence[Override] = (),
    credentials: Mapping[str, Credential] | None = None,
    check_secrets: bool = True,
) -> Bundle:
    """Read and check everything; nothing is raised for what is wrong with it.

    `check_secrets` is False where some couldn't be read: that they are missing then is no second fault.
    """
    bundle = Bundle(texts={source.name: source.text for source in sources})
    for source in sources:
        bundle.entries += [_entry(document, source) for document in documents.load(source.text, source.name)]
    _refuse_doubles(bundle)
    for entry in bundle.entries:
        _change(entry, changes)
    _give_secrets(bundle, credentials or {})
    for entry in [entry for entry in bundle.entries if entry.test is not None]:
        _resolve_config_maps(bundle, entry)
        if check_secrets:
            _resolve_secrets(bundle, entry)
        _resolve_budgets(bundle, entry)
    return bundle


def _entry(document: Document, source: Source) -> Entry:
    raw = document.raw if isinstance(document.raw, dict) else {}
    return Entry(raw, document.model, document, source, list(document.faults))


def _refuse_doubles(bundle: Bundle) -> None:
    by_place = {
        (e.source.name, *e.document.locate("metadata.name")): e for e in bundle.entries if e.document and e.source
    }
    for fault in documents.duplicates([entry.document for entry in bundle.entries if entry.document]):
        by_place[fault.file, fault.line or 0, fault.column or 0].faults.append(fault)


def _change(entry: Entry, changes: Sequence[Override]) -> None:
    """Apply `--set`, and validate what comes of it: a change may well set right what the file has wrong."""
    if not changes or entry.raw.get("kind") != "LoadTest":
        return
    written = {(fault.path, fault.message) for fault in _faults_of(entry.raw)}
    entry.faults = [fault for fault in entry.faults if (fault.path, fault.message) not in written]
    try:
        entry.raw = overrides.apply(changes, entry.raw)
        entry.model = documents.validate_loadtest(entry.raw)
    except InvalidSpec as error:
        entry.model = None
        entry.faults += [_blamed(entry, fault, changes) for fault in error.faults]


def _faults_of(raw: dict[str, Any]) -> list[Fault]:
    """What is wrong with a manifest's values, and not with its YAML."""
    try:
        documents.validate_loadtest(raw)
    except InvalidSpec as error:
        return error.faults
    return []


def _blamed(entry: Entry, fault: Fault, changes: Sequence[Override]) -> Fault:
    """A fault of what was set is shown as such; any other at its place in the file."""
    if fault.file:
        return fault
    if any(fault.path.startswith(change.text) for change in changes):
        return replace(fault, file="--set")
    return entry.at(fault)


def _give_secrets(bundle: Bundle, credentials: Mapping[str, Credential]) -> None:
    known: set[str] = set()
    for entry in list(bundle.entries):
        if entry.test is None:
            continue
        for name, source in entry.test.spec.secrets.items():
            known.add(name)
            if name in credentials:
                ref = source.secret_key_ref
                _put_secret(bundle, entry.test.metadata.namespace, ref.name, ref.key, credentials[name].value)
    for name in sorted(credentials.keys() - known):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(sorted(known)) or 'none'}"
        if not any(entry.faults for entry in bundle.entries):  # a test that can't be read may well have it
            bundle.faults.append(Fault(name, "no test has a secret of this name in spec.secrets", hint, "--secret"))


def _put_secret(bundle: Bundle, namespace: str, name: str, key: str, value: str) -> None:
    entry = _find(bundle, "Secret", namespace, name)
    if entry is None:
        metadata = {"name": name, "namespace": namespace}
        entry = Entry({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque"})
        bundle.entries.append(entry)
    else:
        entry.raw = copy.deepcopy(entry.raw)
    entry.raw["stringData"] = {**(entry.raw.get("stringData") or {}), key: value}


def _find(bundle: Bundle, kind: str, namespace: str, name: str) -> Entry | None:
    return next((entry for entry in bundle.entries if entry.identity == (kind, namespace, name)), None)


def _keys(entry: Entry) -> set[str]:
    parts = (entry.raw.get(part) for part in ("data", "binaryData", "stringData"))
    return {str(key) for part in parts if isinstance(part, dict) for key in part}


def _references(entry: Entry, kind: str) -> Iterator[refs.Reference]:
    yield from refs.references(entry.raw, kind)
    if entry.test is not None:
        yield from refs.mounted(entry.test, kind)


def _resolve_config_maps(bundle: Bundle, entry: Entry) -> None:
    namespace = entry.identity[1]
    for ref in _references(entry, refs.CONFIG_MAP):
        found = _find(bundle, "ConfigMap", namespace, ref.name) or _from_folder(bundle, entry, ref)
        if isinstance(found, Fault):
            entry.faults.append(found)
        elif found is None:
            _missing_config_map(entry, ref)
        elif ref.key is None:
            continue
        elif ref.key not in _keys(found):
            _missing_key(entry, ref, "ConfigMap", _keys(found))
        elif _is_script(ref):
            _check_script(bundle, entry, found, ref.key)


def _missing_config_map(entry: Entry, ref: refs.Reference) -> None:
    if ref.optional:
        return
    files = f" with a file {ref.key}" if ref.key else ""
    hint = f"give its manifest too, or a folder {ref.name}/ beside this file{files}"
    entry.fault(ref.name_at, f"there is no ConfigMap {ref.name!r}", hint)


def _from_folder(bundle: Bundle, entry: Entry, ref: refs.Reference) -> Entry | Fault | None:
    folder = refs.folder_of(entry.source.folder, ref.name) if entry.source is not None else None
    if folder is None:
        return None
    made = refs.config_map(folder, entry.identity[1])
    if isinstance(made, Fault):
        return made
    found = Entry(made, source=Source(str(folder), "", folder))
    bundle.entries.append(found)
    return found


def _missing_key(entry: Entry, ref: refs.Reference, kind: str, keys: set[str]) -> None:
    if ref.optional:
        return
    near = difflib.get_close_matches(ref.key or "", keys, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(sorted(keys)) or 'nothing in it'}"
    entry.fault(ref.key_at, f"the {kind} {ref.name!r} has no key {ref.key!r}", hint)


def _is_script(ref: refs.Reference) -> bool:
    return ref.name_at[-3:-2] == ("script",)


def _check_script(bundle: Bundle, entry: Entry, config_map: Entry, key: str) -> None:
    text = (config_map.raw.get("data") or {}).get(key)
    if text is None:
        entry.faults.append(Fault("", f"{key} is not text", file=str(config_map.identity[2])))
        return
    in_folder = config_map.document is None and config_map.source is not None
    file = (
        str(config_map.source.folder / key)
        if in_folder and config_map.source
        else f"ConfigMap {config_map.identity[2]}/{key}"
    )
    bundle.texts[file] = text
    fault = refs.script_fault(text, file)
    if fault is not None and fault not in entry.faults:
        entry.faults.append(fault)


def _resolve_secrets(bundle: Bundle, entry: Entry) -> None:
    for ref in _references(entry, refs.SECRET):
        found = _find(bundle, "Secret", entry.identity[1], ref.name)
        if found is not None and (ref.key is None or ref.key in _keys(found)):
            continue
        if found is not None:
            _missing_key(entry, ref, "Secret", _keys(found))
        elif not ref.optional:
            _missing_secret(entry, ref)


def _missing_secret(entry: Entry, ref: refs.Reference) -> None:
    name = ref.name_at[2] if ref.name_at[:2] == ("spec", "secrets") else None
    ways = [f"--secret {name}=@FILE"] if name else []
    ways.append(f"a Secret {ref.name!r}{f' with the key {ref.key!r}' if ref.key else ''} among the manifests")
    entry.fault(ref.name_at, f"there is no Secret {ref.name!r}", f"give {' or '.join(ways)}")


def _resolve_budgets(bundle: Bundle, entry: Entry) -> None:
    if entry.test is None:
        return
    there = {
        name
        for kind, namespace, name in _identities(bundle)
        if (kind, namespace) == ("PerformanceBudget", entry.identity[1])
    }
    for index, ref in enumerate(entry.test.spec.budgets):
        if ref.name not in there:
            near = difflib.get_close_matches(ref.name, there, n=1)
            hint = f"did you mean {near[0]}?" if near else "give its manifest too"
            entry.fault(("spec", "budgets", index, "name"), f"there is no PerformanceBudget {ref.name!r}", hint)


def _identities(bundle: Bundle) -> Iterator[Identity]:
    return (entry.identity for entry in bundle.entries)
