"""A pod's volumes as folders, and its paths in them as ours: what it knows as /etc/x is below a root of its own.

Only what there is without a cluster is known: volumes of ConfigMaps and Secrets (whole, or chosen keys), and emptyDir.
A path in an argument or a variable is translated; one that is written out in a program isn't.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from loadgate_operator.cluster.local import rules
from loadgate_operator.cluster.port import Key, Kind, Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    Reader = Callable[[Key], Object | None]

_SHALLOW = 2
_SHARED = ".volumes"


class NotReadyError(Exception):
    """A pod can't start until something that it names exists; the message says what, as the kubelet would."""


@dataclass(frozen=True)
class Mounts:
    """Where a container's folders really are, by the path that it knows them by."""

    folders: Mapping[str, Path]

    def translate(self, text: str) -> str:
        """The real path of one in or at a mounted folder; a parent of mounted folders is translated too.

        Text that is no such path stays as it is.
        """
        for inside, folder in sorted(self.folders.items(), key=lambda item: len(item[0]), reverse=True):
            if text == inside or text.startswith(inside + "/"):
                return str(folder) + text[len(inside) :]
        return text


def mount_all(root: Path, pod: Object, container: Mapping[str, Any], read: Reader) -> Mounts:
    """Write the pod's volumes below `root`, each at the path that the container has it at.

    Raises NotReadyError where a ConfigMap or Secret, or a key in it, isn't there.
    """
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    mounts = sorted(container.get("volumeMounts") or (), key=lambda mount: len(mount["mountPath"]))
    files = {
        mount["mountPath"]: _files_of(volumes[mount["name"]], pod["metadata"]["namespace"], read) for mount in mounts
    }
    folders = {}
    for mount in mounts:  # the outer ones first
        inside, part = mount["mountPath"], mount.get("subPath", "")
        place = root / inside.lstrip("/")
        if "emptyDir" in volumes[mount["name"]]:
            _share(root / _SHARED / mount["name"] / part, place)
        else:
            _write(_part(files[inside], part), place)
        folders[inside] = place
    return Mounts({**_parents(root, folders), **folders})


def _share(folder: Path, place: Path) -> None:
    """The same folder wherever it is mounted."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not place.is_symlink():
        place.symlink_to(folder, target_is_directory=True)


def _write(files: Mapping[str, bytes], place: Path) -> None:
    """Files below a place; the one of no name is the place itself."""
    if "" not in files:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, data in files.items():
        path = place / name if name else place
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(data)


def _part(files: Mapping[str, bytes], part: str) -> dict[str, bytes]:
    """What of a volume's files is mounted: all, those in a folder, or one file, which then has no name."""
    if not part:
        return dict(files)
    if part in files:
        return {"": files[part]}
    return {name.removeprefix(f"{part}/"): data for name, data in files.items() if name.startswith(f"{part}/")}


def _parents(root: Path, mounted: Iterable[str]) -> dict[str, Path]:
    """The folders that several mounts lie in, such as that of all ConfigMaps; neither / nor /etc is the pod's own."""
    parents = {
        str(parent) for path in mounted for parent in PurePosixPath(path).parents if len(parent.parts) > _SHALLOW
    }
    return {parent: root / parent.lstrip("/") for parent in parents}


def _files_of(volume: Mapping[str, Any], namespace: str, read: Reader) -> dict[str, bytes]:
    if "emptyDir" in volume:
        return {}
    if "configMap" in volume:
        source, key = volume["configMap"], Key(Kind.CONFIG_MAP, namespace, volume["configMap"]["name"])
    else:
        source, key = volume["secret"], Key(Kind.SECRET, namespace, volume["secret"]["secretName"])
    obj = read(key)
    if obj is None:
        if source.get("optional"):
            return {}
        raise NotReadyError(missing(key))
    held = rules.contents(obj)
    items = source.get("items")
    if not items:
        return held
    absent = [item["key"] for item in items if item["key"] not in held]
    if absent and not source.get("optional"):
        raise NotReadyError(missing(key, absent[0]))
    return {item["path"]: held[item["key"]] for item in items if item["key"] in held}


def missing(key: Key, entry: str | None = None) -> str:
    """What the kubelet says of an object, or of a key in it, that isn't there."""
    if entry is not None:
        return f"couldn't find key {entry} in {key.kind} {key.namespace}/{key.name}"
    return f'{key.kind.lower()} "{key.name}" not found'
