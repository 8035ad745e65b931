"""What the pods of runners may be: nothing in the way of what makes them runners, and nothing that comes to nothing."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from loadgate.api.pods import (
    MAX_AFFINITY,
    OWN_FOLDERS,
    OWN_LABEL_PREFIXES,
    OWN_LABELS,
    OWN_VARIABLE_PREFIX,
    OWN_VARIABLES,
    OWN_VOLUME_PREFIX,
    SHARED_FOLDERS,
)
from loadgate.api.units import Cpu, Memory

from .findings import Findings, Node

_SOURCES = ("configMapKeyRef", "secretKeyRef", "fieldRef", "resourceFieldRef")
_VOLUMES = ("configMap", "secret", "emptyDir", "persistentVolumeClaim")
_UNIQUE = {
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
"""By which fields the entries of a list are told apart."""


def check_pods(findings: Findings, pods: Node) -> None:
    """Find what is wrong with the pods that a test or an installation asks for."""
    _check_resources(findings, pods["resources"])
    for field, keys in _UNIQUE.items():
        _check_unique(findings, pods[field], keys)
    for variable in pods["env"].each():
        _check_variable(findings, variable)
    _check_volumes(findings, pods["volumes"], pods["volumeMounts"])
    for toleration in pods["tolerations"].each():
        _check_toleration(findings, toleration)
    for constraint in pods["topologySpreadConstraints"].each():
        _check_spread(findings, constraint)
    if pods["affinity"].given and _size(pods["affinity"].value) > MAX_AFFINITY:
        findings.add(pods["affinity"], f"is larger than {MAX_AFFINITY >> 10} KiB")
    for field in ("labels", "annotations"):
        _check_labels(findings, pods[field])


def check_selector(findings: Findings, selector: Node) -> None:
    """Find demands on labels that don't say what they demand."""
    for requirement in selector["matchExpressions"].each():
        needs_values = requirement["operator"].value in ("In", "NotIn")
        if isinstance(requirement.value, dict) and needs_values != bool(requirement["values"].value):
            findings.add(requirement, "In and NotIn need values; Exists and DoesNotExist take none")


def _check_resources(findings: Findings, resources: Node) -> None:
    amounts: dict[str, Callable[[str], Cpu | Memory]] = {"cpu": Cpu, "memory": Memory}
    for name, unit in amounts.items():
        asked, most = (_amount(resources[part][name], unit) for part in ("requests", "limits"))
        if asked is not None and most is not None and asked > most:
            limit = resources["limits"][name].value
            findings.add(resources["requests"][name], f"is more than the limit, which is {limit}")


def _amount(node: Node, unit: Callable[[str], Cpu | Memory]) -> Any:
    """The exact amount; None where there is none, or none that can be read."""
    try:
        return unit(str(node.value)).amount if node.given else None
    except ValueError:
        return None


def _check_unique(findings: Findings, entries: Node, keys: tuple[str, ...]) -> None:
    seen = set[tuple[str, ...]]()
    for entry in entries.each():
        identity = tuple(entry[key].text or "" for key in keys)
        if all(identity) and identity in seen:
            findings.add(entry[keys[0]], f"there is {' '.join(identity)} already", "keep one of them")
        seen.add(identity)


def _check_variable(findings: Findings, variable: Node) -> None:
    name = variable["name"].text or ""
    if name.startswith(OWN_VARIABLE_PREFIX) or name in OWN_VARIABLES:
        findings.add(variable["name"], f"{name} is set by loadgate itself", "call it something else")
    findings.one_of(variable, ("value", "valueFrom"), required=False)
    if isinstance(variable["valueFrom"].value, dict):
        findings.one_of(variable["valueFrom"], _SOURCES)


def _check_volumes(findings: Findings, volumes: Node, mounts: Node) -> None:
    names = {volume["name"].text for volume in volumes.each()}
    mounted = {mount["name"].text for mount in mounts.each()}
    for volume in volumes.each():
        name = volume["name"].text
        if isinstance(volume.value, dict):
            findings.one_of(volume, _VOLUMES)
        if name and name.startswith(OWN_VOLUME_PREFIX):
            findings.add(volume["name"], f"volumes that begin with {OWN_VOLUME_PREFIX} are loadgate's own")
        if name and name not in mounted:
            findings.add(volume, "is mounted nowhere", f"add {{name: {name}, mountPath: …}} to volumeMounts")
    for mount in mounts.each():
        name, path = mount["name"].text, mount["mountPath"].text
        if name and name not in names:
            findings.add(mount["name"], f"there is no volume {name!r}", _listed(names))
        if path and (own := _in_the_way(path)):
            findings.add(mount["mountPath"], f"would be in the way of {own}", "mount it elsewhere, like /var/data")


def _in_the_way(path: str) -> str:
    """The folder that a mount at the path would hide or be hidden by; empty where there is none."""
    around = [own for own in (*OWN_FOLDERS, *SHARED_FOLDERS) if f"{own}/".startswith(f"{path}/")]
    within = [own for own in OWN_FOLDERS if path.startswith(f"{own}/")]
    return next(iter(around + within), "")


def _check_toleration(findings: Findings, toleration: Node) -> None:
    operator = toleration["operator"].value or "Equal"
    if isinstance(toleration.value, dict) and "key" not in toleration and operator == "Equal":
        findings.add(toleration, "tolerates nothing", "give a key, or operator: Exists for every taint")
    if operator == "Exists" and "value" in toleration:
        findings.add(toleration["value"], "Exists takes no value", "take it out, or write operator: Equal")
    if "tolerationSeconds" in toleration and toleration["effect"].value != "NoExecute":
        findings.add(toleration["tolerationSeconds"], "is only for the effect NoExecute")


def _check_spread(findings: Findings, constraint: Node) -> None:
    check_selector(findings, constraint["labelSelector"])
    if "minDomains" in constraint and constraint["whenUnsatisfiable"].value != "DoNotSchedule":
        findings.add(constraint["minDomains"], "is only for whenUnsatisfiable: DoNotSchedule")


def _check_labels(findings: Findings, labels: Node) -> None:
    for key, node in labels.entries():
        if key in OWN_LABELS or key.startswith(OWN_LABEL_PREFIXES):
            findings.add(node, f"{key} is set by loadgate or Kubernetes itself", "call it something else")


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass"))


def _listed(names: Iterable[str | None]) -> str:
    known = sorted(name for name in names if name)
    return f"there is {', '.join(known)}" if known else "volumes has none"
