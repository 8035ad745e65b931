"""The Job whose pods are a run's runners.

Runners never begin by themselves, so the Job only has to keep one pod an index alive until each is told to start.
Kubernetes may run an index twice for a moment, and may replace a pod mid-run; who is a runner of the run is for the
operator to say, by the pod's uid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from loadgate.api.pods import OWN_VOLUME_PREFIX, PodTemplate
from loadgate.control import DEFAULT_PORT
from loadgate.plan import secret_sources
from loadgate_operator.manifests import names, pods
from loadgate_operator.manifests.configs import PLAN_KEY, TOKEN_KEY

if TYPE_CHECKING:
    from loadgate.api.loadtest import LoadTest
    from loadgate.plan import Plan

CONTAINER = "runner"
PROGRAM = "loadgate-runner"
PORT_NAME = "metrics"

PORT_VARIABLE = "LOADGATE_PORT"
"""The environment variable that says where a runner listens; a cluster whose pods share an address sets it anew."""

PLAN_VARIABLE = "LOADGATE_PLAN_SHA256"
"""The environment variable that says which plan the Job was made for: a runner takes no other."""

CPU_VARIABLE = "LOADGATE_CPU_LIMIT"
"""The environment variable that says how many cores a runner is allowed; without it, all that it finds."""

PLAN_FOLDER = "/etc/loadgate/plan"
FILES_FOLDER = "/etc/loadgate/files"
SCRATCH_FOLDER = "/tmp"  # noqa: S108 - a folder of the pod's own, the only one it can write to

UNUSABLE_PLAN_EXIT = 2
"""A runner's exit code where its plan or command line is at fault: another pod would do no better."""

_STAY = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}
"""Annotations that keep autoscalers off a pod's node: a runner that is moved in mid-run is a lost runner."""

RETRIES_PER_INDEX = 3
"""How often a pod that ends before its time is replaced; one lost mid-run makes the run inconclusive anyway."""


@dataclass(frozen=True, kw_only=True)
class RunnerSettings:
    """What the operator's installation says about runner pods. Times are seconds."""

    image: str = "loadgate/runner:latest"
    """The image of tests that name none."""
    pods: PodTemplate = field(default_factory=PodTemplate)
    """What a test's pods are where the test says nothing else."""
    linger: float = 900.0
    """How long a finished runner waits for its last snapshot to be taken."""
    chores: float = 600.0
    """How long setup and teardown together may take before Kubernetes ends a Job that nobody comes back for."""


def runner_job(test: LoadTest, run: str, plan: Plan, settings: RunnerSettings) -> dict[str, Any]:
    """The Job of a run, not suspended; its pods arm themselves and wait.

    It has no time to live: until its result is stored a pod's log may be the last place that has it, so the operator
    removes the Job itself.
    """
    count, settings = test.spec.runners.count, settings_for(test, settings)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": names.metadata(test, names.job_name(run), run, "runner"),
        "spec": {
            "completionMode": "Indexed",
            "completions": count,
            "parallelism": count,
            "backoffLimitPerIndex": RETRIES_PER_INDEX,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": _failure_policy(),
            "activeDeadlineSeconds": _deadline(test, plan, settings),
            "suspend": False,
            "template": {
                "metadata": {
                    "labels": {**settings.pods.labels, **names.labels(test.metadata.name, run, component="runner")},
                    "annotations": {**_STAY, **settings.pods.annotations},
                },
                "spec": _pod_spec(test, run, plan, settings),
            },
        },
    }


def settings_for(test: LoadTest, settings: RunnerSettings) -> RunnerSettings:
    """The installation's settings with what the test says over them."""
    own = test.spec.runners
    return replace(settings, image=own.image or settings.image, pods=pods.merged(own, settings.pods))


def pod_index(pod: dict[str, Any]) -> int | None:
    """Which runner a pod is, from 0; None for a pod of no Indexed Job."""
    meta = pod["metadata"]
    index = (meta.get("annotations") or {}).get(names.INDEX_LABEL) or (meta.get("labels") or {}).get(names.INDEX_LABEL)
    return int(index) if index is not None and index.isdecimal() else None


def config_maps_of(plan: Plan) -> list[str]:
    """The ConfigMaps whose keys a plan reads, sorted."""
    return sorted({file.split("/", 1)[0] for file in plan.files})


def _failure_policy() -> dict[str, Any]:
    return {
        "rules": [
            # An eviction or a drained node is nobody's fault: the pod is replaced and not counted.
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {
                "action": "FailIndex",
                "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [UNUSABLE_PLAN_EXIT]},
            },
        ]
    }


def _deadline(test: LoadTest, plan: Plan, settings: RunnerSettings) -> int:
    """Seconds after which Kubernetes ends the pods itself, should no operator be there any more to do it."""
    planned = plan.duration + plan.tail
    return math.ceil(test.spec.start_deadline.seconds + planned + settings.chores + settings.linger)


def _pod_spec(test: LoadTest, run: str, plan: Plan, settings: RunnerSettings) -> dict[str, Any]:
    mounted = _own_volumes(run, plan)
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": math.ceil(plan.tail) + 30,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        **pods.placement(settings.pods, run),
        "containers": [_container(test, run, plan, settings, [mount for _, mount in mounted])],
        "volumes": [*(volume for volume, _ in mounted), *pods.plain(settings.pods.volumes)],
    }


def _own_volumes(run: str, plan: Plan) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What every runner has, each with its mount: the plan, the ConfigMaps that the plan names, a place to write to."""
    folders = {
        "plan": (names.plan_name(run), PLAN_FOLDER),
        **{f"file-{n}": (name, f"{FILES_FOLDER}/{name}") for n, name in enumerate(config_maps_of(plan))},
    }
    read = [
        (
            {"name": f"{OWN_VOLUME_PREFIX}{name}", "configMap": {"name": config_map}},
            {"name": f"{OWN_VOLUME_PREFIX}{name}", "mountPath": folder, "readOnly": True},
        )
        for name, (config_map, folder) in folders.items()
    ]
    scratch = f"{OWN_VOLUME_PREFIX}scratch"
    return [*read, ({"name": scratch, "emptyDir": {}}, {"name": scratch, "mountPath": SCRATCH_FOLDER})]


def _container(
    test: LoadTest, run: str, plan: Plan, settings: RunnerSettings, mounts: list[dict[str, Any]]
) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": settings.image,
        "command": [PROGRAM],
        "args": _arguments(test, settings),
        "ports": [{"name": PORT_NAME, "containerPort": DEFAULT_PORT, "protocol": "TCP"}],
        # The test's own before ours, so that `$(NAME)` in them reads none of ours: the token isn't for journeys.
        "env": [*pods.plain(settings.pods.env), *_environment(test, run, plan, settings)],
        # A runner's last words become its pod's status, so that the operator needs no right to read logs for them.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [*mounts, *pods.plain(settings.pods.volume_mounts)],
    }
    resources = pods.resources(settings.pods)
    return {**container, "resources": resources} if resources else container


def _arguments(test: LoadTest, settings: RunnerSettings) -> list[str]:
    processes = test.spec.runners.processes
    return [
        *("--plan", f"{PLAN_FOLDER}/{PLAN_KEY}"),
        *("--files", FILES_FOLDER),
        *("--host", "$(POD_IP)"),
        *("--port", f"$({PORT_VARIABLE})"),
        *("--linger", f"{settings.linger:g}"),
        *(("--processes", str(processes)) if processes else ()),
    ]


def _environment(test: LoadTest, run: str, plan: Plan, settings: RunnerSettings) -> list[dict[str, Any]]:
    fields = {
        "POD_IP": "status.podIP",
        "LOADGATE_POD_UID": "metadata.uid",
        "LOADGATE_INDEX": f"metadata.annotations['{names.INDEX_LABEL}']",
    }
    cpu = settings.pods.resources.limits.cpu
    secrets = {
        "LOADGATE_TOKEN": (names.token_name(run), TOKEN_KEY),
        **{variable: (ref.name, ref.key) for variable, ref in secret_sources(test).items()},
    }
    return [
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
        {"name": "LOADGATE_RUN", "value": run},
        {"name": PLAN_VARIABLE, "value": plan.digest},
        {"name": PORT_VARIABLE, "value": str(DEFAULT_PORT)},
        {"name": "TMPDIR", "value": SCRATCH_FOLDER},
        *([{"name": CPU_VARIABLE, "value": f"{cpu.cores:g}"}] if cpu else []),
        *(
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
            for name, (secret, key) in secrets.items()
        ),
    ]
