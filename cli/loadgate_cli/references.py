"""What a manifest takes from ConfigMaps and Secrets, and ConfigMaps made of folders beside it."""

import ast
import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgate.api.faults import Fault
from loadgate.api.loadtest import LoadTest
from loadgate.api.paths import Path as FieldPath
from loadgate.api.pods import ConfigMapVolume, SecretVolume

CONFIG_MAP = "configMapKeyRef"
SECRET = "secretKeyRef"  # noqa: S105 - the name of a field
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_MOST = 1 << 20
"""What a ConfigMap may hold, in bytes, as on a cluster."""


@dataclass(frozen=True)
class Reference:
    """A key of an object (None: all of it), and the places in the manifest that name the object and the key.

    What is `optional` may be missing.
    """

    name_at: FieldPath
    key_at: FieldPath
    name: str
    key: str | None
    optional: bool = False


def references(value: Any, kind: str, path: FieldPath = ()) -> Iterator[Reference]:
    """Every reference of that kind in a manifest, with its path."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from references(item, kind, (*path, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == kind and isinstance(item, dict) and {"name", "key"} <= item.keys():
                optional = item.get("optional") is True
                at = (*path, name)
                yield Reference((*at, "name"), (*at, "key"), str(item["name"]), str(item["key"]), optional)
            else:
                yield from references(item, kind, (*path, name))


def mounted(test: LoadTest, kind: str) -> Iterator[Reference]:
    """Every reference of that kind in the volumes of the runners' pods."""
    for index, volume in enumerate(test.spec.runners.volumes):
        at = ("spec", "runners", "volumes", index)
        if kind == CONFIG_MAP and (files := volume.config_map):
            yield from _of_volume((*at, "configMap"), "name", files.name, files)
        if kind == SECRET and (hidden := volume.secret):
            yield from _of_volume((*at, "secret"), "secretName", hidden.secret_name, hidden)


def _of_volume(at: FieldPath, field: str, name: str, source: ConfigMapVolume | SecretVolume) -> Iterator[Reference]:
    for index, item in enumerate(source.items):
        yield Reference((*at, field), (*at, "items", index, "key"), name, item.key, source.optional)
    if not source.items:
        yield Reference((*at, field), at, name, None, source.optional)


def folder_of(parent: Path, name: str) -> Path | None:
    """The folder that stands for a ConfigMap of that name, if there is one."""
    folder = parent / name
    return folder if folder.is_dir() else None


def config_map(folder: Path, namespace: str) -> dict[str, Any] | Fault:
    """A ConfigMap with a key for each file of a folder, as kubectl's --from-file makes it."""
    data: dict[str, str] = {}
    binary: dict[str, str] = {}
    left = _MOST
    try:
        for path in sorted(folder.iterdir()):
            if not path.is_file() or path.name.startswith(".") or not _KEY.fullmatch(path.name):
                continue
            with path.open("rb") as stream:
                content = stream.read(left + 1)
            left -= len(content)
            if left < 0:
                return Fault(
                    "", f"the folder holds more than {_MOST >> 20} MiB, which no ConfigMap can", file=str(folder)
                )
            _put(path.name, content, data, binary)
    except OSError as error:
        return Fault("", f"can't be read: {error.strerror}", file=str(error.filename or folder))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": folder.name, "namespace": namespace},
        "data": data,
        "binaryData": binary,
    }


def script_fault(text: str, file: str) -> Fault | None:
    """What keeps a Python journey from being one."""
    try:
        tree = ast.parse(text, file)
    except (SyntaxError, ValueError) as error:
        line, column = getattr(error, "lineno", None), getattr(error, "offset", None)
        return Fault("", f"not Python: {getattr(error, 'msg', error)}", file=file, line=line, column=column)
    if any(isinstance(node, ast.AsyncFunctionDef) and node.name == "journey" for node in tree.body):
        return None
    plain = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "journey"), None)
    if plain is not None:
        hint = "write async def journey(user):"
        return Fault("", "journey is not async", hint, file, plain.lineno, plain.col_offset + 1)
    return Fault("", "there is no journey in it", "write async def journey(user):", file, 1)


def _put(key: str, content: bytes, data: dict[str, str], binary: dict[str, str]) -> None:
    try:
        data[key] = content.decode()
    except UnicodeDecodeError:
        binary[key] = base64.b64encode(content).decode()
