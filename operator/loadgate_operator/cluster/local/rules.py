"""What an API server would say of an object: what it refuses, what it fills in, and what may not change."""

from __future__ import annotations

import base64
import binascii
import copy
import re

from loadgate_operator.cluster.port import API_VERSIONS, ConflictError, Key, Kind, Object, RefusedError

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_MOST_DATA = 1 << 20
_VOLUMES = ("configMap", "secret", "emptyDir")
_FINISHED = {"Succeeded", "Failed"}


def key_of(obj: Object) -> Key:
    """Where an admitted object lives."""
    return Key(Kind(obj["kind"]), obj["metadata"]["namespace"], obj["metadata"]["name"])


def owner_uids(obj: Object) -> set[str]:
    """The uids of the objects that own this one."""
    return {reference["uid"] for reference in obj["metadata"].get("ownerReferences") or ()}


def is_finished(pod: Object) -> bool:
    """Whether a pod will run no more."""
    return (pod.get("status") or {}).get("phase") in _FINISHED


def is_alive(pod: Object) -> bool:
    """Whether a pod has, or may yet get, a process."""
    return not is_finished(pod)


def admitted(obj: Object) -> Object:
    """A copy with what the API server fills in. Raises RefusedError with the reason where it would refuse."""
    out = copy.deepcopy(obj)
    metadata = out.get("metadata")
    if not isinstance(metadata, dict):
        raise RefusedError("an object needs metadata")
    kind = next((kind for kind in Kind if kind == out.get("kind")), None)
    if kind is None:
        raise RefusedError(f"no such kind here: {out.get('kind')!r}")
    if out.get("apiVersion") != API_VERSIONS[kind]:
        raise RefusedError(f"{kind} is of {API_VERSIONS[kind]}, not of {out.get('apiVersion')!r}")
    metadata.setdefault("namespace", "default")
    for field in ("name", "namespace"):
        if not isinstance(metadata.get(field), str) or not _NAME.fullmatch(metadata[field]):
            raise RefusedError(f"metadata.{field}: not a name that Kubernetes takes: {metadata.get(field)!r}")
    out.pop("status", None)
    if kind in {Kind.CONFIG_MAP, Kind.SECRET}:
        _admit_data(out)
    if kind == Kind.JOB:
        _admit_volumes(out)
    return out


def with_default_status(obj: Object) -> Object:
    """The status that the resource's definition gives a new object."""
    if obj["kind"] in {Kind.LOAD_TEST, Kind.PERFORMANCE_BUDGET}:
        return {**obj, "status": {"observedGeneration": -1}}
    return {**obj, "status": {"phase": "Pending"}} if obj["kind"] == Kind.POD else obj


def check_identity(key: Key, present: Object | None, wanted: Object) -> None:
    """Raises ConflictError where a uid is named and there is no such object, or another, or it has changed since."""
    uid, version = wanted["metadata"].get("uid"), wanted["metadata"].get("resourceVersion")
    if uid is None:
        return
    if present is None or present["metadata"]["uid"] != uid:
        raise ConflictError(f"{key} isn't {uid} (any more)")
    if version not in (None, present["metadata"]["resourceVersion"]):
        raise ConflictError(f"{key} has changed since it was read")


def check_update(present: Object, wanted: Object) -> None:
    """Raises RefusedError where something changes that may not."""
    if present.get("immutable") and any(present.get(key) != wanted.get(key) for key in ("data", "binaryData")):
        raise RefusedError(f"{key_of(present)} is immutable")
    if present["kind"] == Kind.JOB and any(
        present["spec"].get(field) != wanted["spec"].get(field) for field in ("template", "completions")
    ):
        raise RefusedError(f"{key_of(present)}: a Job's template and completions can't change")


def _admit_volumes(job: Object) -> None:
    pod = ((job.get("spec") or {}).get("template") or {}).get("spec") or {}
    for volume in pod.get("volumes") or ():
        kind = next((part for part in volume if part != "name"), "")
        if kind not in _VOLUMES:
            raise RefusedError(
                f"{key_of(job)}: volume {volume['name']} is a {kind}, which there is in a cluster only; "
                f"here volumes are {', '.join(_VOLUMES)}"
            )


def _admit_data(obj: Object) -> None:
    plain = obj.pop("stringData", None) or {}
    if plain:
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            if not _DATA_KEY.fullmatch(str(key)) or ".." in str(key):
                raise RefusedError(f"{key_of(obj)}: not a key that Kubernetes takes: {key!r}")
            size += len(content(obj, field, key, value))
    if size > _MOST_DATA:
        raise RefusedError(f"{key_of(obj)} holds {size:,} bytes; at most {_MOST_DATA:,} fit")


def content(obj: Object, field: str, key: str, value: object) -> bytes:
    """The bytes of one value of a ConfigMap or Secret. Raises RefusedError for what isn't base64 where it must be."""
    if not isinstance(value, str):
        raise RefusedError(f"{key_of(obj)}: {field}.{key} isn't a string")
    if field == "data" and obj["kind"] == Kind.CONFIG_MAP:
        return value.encode()
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise RefusedError(f"{key_of(obj)}: {field}.{key} isn't base64: {error}") from error


def contents(obj: Object) -> dict[str, bytes]:
    """All values of a ConfigMap or Secret, by key."""
    return {
        key: content(obj, field, key, value)
        for field in ("data", "binaryData")
        for key, value in (obj.get(field) or {}).items()
    }
