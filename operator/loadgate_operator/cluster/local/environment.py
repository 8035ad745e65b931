"""A container's environment and command, resolved as the kubelet resolves them."""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, Any

import psutil

from loadgate.api.units import Cpu, Memory
from loadgate_operator.cluster.local import rules
from loadgate_operator.cluster.local.files import NotReadyError, missing
from loadgate_operator.cluster.port import Key, Kind, Object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgate_operator.cluster.local.files import Reader

# What a process needs of ours to run at all. The rest of a person's environment is as little a pod's business here as
# in a cluster: it may hold credentials, and a test that reads it would not run there.
_INHERITED = (
    *("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("PYTHONPATH", "PYTHONHOME", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


def inherited() -> dict[str, str]:
    """The part of our own environment that a pod's process gets."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def resolve(pod: Object, container: Mapping[str, Any], read: Reader) -> dict[str, str]:
    """The variables that a container asks for. Raises NotReadyError where what one is taken from isn't there."""
    out: dict[str, str] = {}
    for variable in container.get("env") or ():
        if "valueFrom" in variable:
            value = _value_from(variable["valueFrom"], pod, container, read)
        else:
            value = expand(variable.get("value", ""), out)
        if value is not None:
            out[variable["name"]] = value
    return out


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable's value where there is one, `$$` a dollar."""

    def one(match: re.Match[str]) -> str:
        name = match.group(1)
        return "$" if name is None else variables.get(name, match.group(0))

    return _REFERENCE.sub(one, text)


def amount(container: Mapping[str, Any], resource: str) -> str:
    """A container's `limits.cpu` in whole cores, its `requests.memory` in bytes, or the like.

    A limit that isn't set is what the machine has; a request that isn't is the limit, and without one nothing.
    """
    part, _, name = resource.partition(".")
    resources = container.get("resources") or {}
    given = (resources.get(part) or {}).get(name) or (resources.get("limits") or {}).get(name)
    if given is None and part == "requests":
        return "0"
    if name == "cpu":
        return str(os.cpu_count() or 1 if given is None else math.ceil(Cpu(given).cores))
    return str(psutil.virtual_memory().total if given is None else Memory(given).bytes)


def _value_from(source: Mapping[str, Any], pod: Object, container: Mapping[str, Any], read: Reader) -> str | None:
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return amount(container, source["resourceFieldRef"]["resource"])
    kind = Kind.SECRET if "secretKeyRef" in source else Kind.CONFIG_MAP
    reference = source["secretKeyRef" if kind == Kind.SECRET else "configMapKeyRef"]
    key = Key(kind, pod["metadata"]["namespace"], reference["name"])
    obj = read(key)
    held = rules.contents(obj) if obj else {}
    if reference["key"] in held:
        # Whatever bytes they are: the process gets the very same ones.
        return held[reference["key"]].decode(errors="surrogateescape")
    if reference.get("optional"):
        return None
    raise NotReadyError(missing(key, reference["key"] if obj else None))


def field(pod: Object, path: str) -> str:
    """A field of the pod by the downward API's path; "" where the pod has none."""
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript:
        return str((pod["metadata"].get(subscript.group(1)) or {}).get(subscript.group(2), ""))
    value: Any = pod
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)
