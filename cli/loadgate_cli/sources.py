"""Where manifests come from: files, folders, and standard input."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loadgate.api.faults import Fault

STDIN = "-"
_SUFFIXES = {".yaml", ".yml", ".json"}
_MOST = 16 << 20


@dataclass(frozen=True)
class Source:
    """A manifest file's contents; `folder` is where its ConfigMaps are looked for."""

    name: str
    text: str
    folder: Path


def read_all(names: Iterable[str]) -> tuple[list[Source], list[Fault]]:
    """Read every file of every name; what can't be read is a fault."""
    sources: list[Source] = []
    faults: list[Fault] = []
    for name in names:
        for path in _expand(name, faults):
            found = read(path)
            if isinstance(found, Fault):
                faults.append(found)
            else:
                sources.append(found)
    return sources, faults


def manifests_in(folder: Path) -> list[Path]:
    """The manifests directly in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and not path.name.startswith("."))


def read(path: Path | str) -> Source | Fault:
    """Read one file, or standard input."""
    if path == STDIN:
        return _decoded("<stdin>", sys.stdin.buffer.read(_MOST + 1), Path.cwd())
    path = Path(path)
    try:
        with path.open("rb") as stream:
            return _decoded(str(path), stream.read(_MOST + 1), path.parent)
    except OSError as error:
        return Fault("", f"can't be read: {error.strerror or error}", file=str(path))


def _expand(name: str, faults: list[Fault]) -> list[Path | str]:
    path = Path(name)
    if name == STDIN or not path.is_dir():
        return [name]
    try:
        found: list[Path | str] = list(manifests_in(path))
    except OSError as error:
        faults.append(Fault("", f"can't be read: {error.strerror}", file=name))
        return []
    if not found:
        faults.append(Fault("", "there is no manifest in this folder", "a name that ends in .yaml is wanted", name))
    return found


def _decoded(name: str, data: bytes, folder: Path) -> Source | Fault:
    if len(data) > _MOST:
        return Fault("", f"is larger than {_MOST >> 20} MiB, which no manifest is", file=name)
    try:
        return Source(name, data.decode("utf-8-sig"), folder)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Fault("", "is not UTF-8 text", file=name, line=line)
