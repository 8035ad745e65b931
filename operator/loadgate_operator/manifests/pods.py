"""What a test and its installation say of the runners' pods, as one, and as the parts of a Job's pod template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from loadgate.api.pods import Amounts, PodTemplate, Resources
from loadgate_operator.manifests import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loadgate.api.base import Model
    from loadgate.api.pods import TopologySpreadConstraint

T = TypeVar("T")


def merged(own: PodTemplate, defaults: PodTemplate) -> PodTemplate:
    """A test's pods with an installation's defaults under them. The test goes before them:

    what has one value is the test's where it gives one, affinity and topologySpreadConstraints as wholes; maps are
    merged by key, lists by what names their entries (volumeMounts: the path); tolerations of both hold. Resources are
    merged by resource: a test that gives CPU, as a request or a limit, takes no CPU of the defaults.
    """
    return PodTemplate(
        resources=_resources(own.resources, defaults.resources),
        env=_by(lambda one: one.name, defaults.env, own.env),
        volumes=_by(lambda one: one.name, defaults.volumes, own.volumes),
        volume_mounts=_by(lambda one: one.mount_path, defaults.volume_mounts, own.volume_mounts),
        image_pull_secrets=_by(lambda one: one.name, defaults.image_pull_secrets, own.image_pull_secrets),
        node_selector={**defaults.node_selector, **own.node_selector},
        tolerations=_by(lambda one: one.model_dump_json(), defaults.tolerations, own.tolerations),
        affinity=_first(own.affinity, defaults.affinity),
        topology_spread_constraints=_first(own.topology_spread_constraints, defaults.topology_spread_constraints),
        priority_class_name=_first(own.priority_class_name, defaults.priority_class_name),
        service_account_name=_first(own.service_account_name, defaults.service_account_name),
        labels={**defaults.labels, **own.labels},
        annotations={**defaults.annotations, **own.annotations},
    )


def _first(own: T | None, default: T | None) -> T | None:
    return default if own is None else own


def _by(key: Callable[[T], str], defaults: Iterable[T], own: Iterable[T]) -> list[T]:
    """The defaults in their order, each replaced by the test's of the same key, and then what else the test has."""
    return list({key(one): one for one in (*defaults, *own)}.values())


def _resources(own: Resources, defaults: Resources) -> Resources:
    """A request of one and a limit of the other could contradict each other, so each resource is from one of them."""
    cpu = own if own.requests.cpu or own.limits.cpu else defaults
    memory = own if own.requests.memory or own.limits.memory else defaults
    return Resources(
        requests=Amounts(cpu=cpu.requests.cpu, memory=memory.requests.memory),
        limits=Amounts(cpu=cpu.limits.cpu, memory=memory.limits.memory),
    )


def placement(pods: PodTemplate, run: str) -> dict[str, Any]:
    """The fields of a pod's spec that say where it goes and on whose account; none that says nothing."""
    fields = {
        "imagePullSecrets": plain(pods.image_pull_secrets),
        "nodeSelector": pods.node_selector,
        "tolerations": plain(pods.tolerations),
        "affinity": pods.affinity.to_json() if pods.affinity else {},
        "topologySpreadConstraints": _spread(pods.topology_spread_constraints, run),
        "priorityClassName": pods.priority_class_name,
        "serviceAccountName": pods.service_account_name,
    }
    return {name: value for name, value in fields.items() if value}


def resources(pods: PodTemplate) -> dict[str, Any]:
    """The resources as a container has them; empty where none are given."""
    return {name: amounts for name, amounts in pods.resources.to_json().items() if amounts}


def plain(models: Iterable[Model]) -> list[dict[str, Any]]:
    """Variables, volumes or mounts as a pod has them."""
    return [model.to_json() for model in models]


def _spread(constraints: list[TopologySpreadConstraint] | None, run: str) -> list[dict[str, Any]]:
    """As asked for, over this run's pods; over nodes where that can be, where nothing is asked for."""
    mine = {"labelSelector": {"matchLabels": names.run_selector(run)}}
    if constraints is None:
        return [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway", **mine}]
    return [{**mine, **constraint} for constraint in plain(constraints)]
