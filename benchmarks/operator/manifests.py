"""What the benchmarks apply: LoadTests with next to no load, and the bare Jobs that they are compared with."""

from typing import Any

from benchmarks.operator.cluster import IMAGE

Object = dict[str, Any]

_SECURITY: Object = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}

NO_PATIENCE_NEEDED = ["LoopLag", "ScheduleSlip", "CPULimit"]
"""Doubts of a machine that does everything at once: load, control plane, pods. They are reported all the same."""


def load_test(name: str, namespace: str, url: str, *, runners: int, **spec: Any) -> Object:
    """A LoadTest; `spec` goes before what is said here."""
    base = {
        "target": {"url": url},
        "runners": {"count": runners, "processes": 1},
        "thresholds": {"http_req_failed": ["rate<0.01"]},
        "tolerateDoubts": NO_PATIENCE_NEEDED,
    }
    return {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": name, "namespace": namespace},
        "spec": base | spec,
    }


def once_each(vus: int, path: str) -> Object:
    """A scenario in which each VU makes one request as soon as it begins."""
    return {
        "name": "once",
        "executor": "per-vu-iterations",
        "vus": vus,
        "iterations": 1,
        "maxDuration": "10s",
        "steps": [{"request": {"name": "first", "url": path}}],
    }


def steady(vus: int, seconds: int, path: str = "/item") -> Object:
    """A scenario of one request a second and VU."""
    return {
        "name": "steady",
        "executor": "constant-vus",
        "vus": vus,
        "duration": f"{seconds}s",
        "steps": [{"request": {"name": "item", "url": path}}, {"think": "1s"}],
    }


def bare_job(name: str, namespace: str, *, pods: int, command: list[str]) -> Object:
    """An Indexed Job of the runners' image, as plain as the cluster's pod security lets it be."""
    container = {"name": "bare", "image": IMAGE, "command": command, "securityContext": _SECURITY}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "completionMode": "Indexed",
            "completions": pods,
            "parallelism": pods,
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": {"bare": name}},
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [container],
                },
            },
        },
    }
