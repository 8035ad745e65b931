"""The pods of runners: the part of Kubernetes' own pods that a test, or a whole installation, has a say in.

Names, shapes and meanings are Kubernetes'. What would take a pod out of the restricted Pod Security Standard, or give
it a way to the API server, isn't there.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints
from pydantic.config import JsonDict

from .base import Model
from .cel import at_most_one, exactly_one, rule, validated
from .names import (
    EnvironmentName,
    FieldPath,
    Key,
    LabelKey,
    LabelName,
    LabelValue,
    MountPath,
    ObjectName,
    RelativePath,
    Text,
)
from .references import KeyRef
from .scalars import OpenObject
from .selectors import LabelSelector
from .units import Cpu, Memory

OWN_VARIABLES = ("POD_IP", "TMPDIR", "JOB_COMPLETION_INDEX")
"""Environment variables that are loadgate's or Kubernetes' to set."""
OWN_VARIABLE_PREFIX = "LOADGATE_"

OWN_VOLUME_PREFIX = "loadgate-"
"""How the volumes begin that loadgate mounts itself."""

OWN_FOLDERS = ("/etc/loadgate", "/opt/loadgate", "/proc", "/sys")
"""Nothing may be mounted at, in or around these: plan and files, the program, and what the kernel shows."""
SHARED_FOLDERS = ("/tmp", "/dev")  # noqa: S108 - the name of a folder in a pod
"""Nothing may be mounted at or around these, but in them."""

OWN_LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/managed-by", "app.kubernetes.io/component")
"""Labels by which a run's pods are found."""
OWN_LABEL_PREFIXES = ("loadgate.dev/", "batch.kubernetes.io/")

MAX_AFFINITY = 16 << 10
"""How large an affinity may be, in bytes of JSON."""


def _map_by(*keys: str) -> JsonDict:
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


class Amounts(Model):
    """CPU and memory, as Kubernetes quantities."""

    cpu: Cpu | None = None
    """CPU: `"1"`, `500m`."""
    memory: Memory | None = None
    """Memory: `256Mi`, `1Gi`."""


class Resources(Model):
    """What a runner's container is given."""

    requests: Amounts = Amounts()
    """What the node must have free."""
    limits: Amounts = Amounts()
    """What it may use at most. A runner that reaches its CPU limit makes the verdict Inconclusive."""


class PullSecret(Model):
    """A Secret with a registry's credentials."""

    name: ObjectName
    """The Secret's name."""


class Toleration(Model):
    """A taint of nodes that the pods put up with."""

    model_config = validated(
        rule("has(self.key) || self.operator == 'Exists'", "without a key the operator must be Exists"),
        rule("self.operator == 'Equal' || !has(self.value)", "Exists takes no value"),
        rule(
            "!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'",
            "tolerationSeconds needs effect NoExecute",
        ),
    )

    key: LabelKey | None = None
    """The taint's key; left out, with `Exists`: every taint."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Whether the taint must have the value, or any."""
    value: LabelValue | None = None
    """The taint's value, for `Equal`."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; left out: every effect."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2_147_483_647)] | None = None
    """For how long a pod stays on a node with a taint of `NoExecute`. A runner that must go is a lost runner."""


class Affinity(Model):
    """Which nodes, and which other pods, the pods keep to or keep off. The API server judges what is in it."""

    node_affinity: OpenObject | None = None
    """As in a pod's `affinity`."""
    pod_affinity: OpenObject | None = None
    """As in a pod's `affinity`."""
    pod_anti_affinity: OpenObject | None = None
    """As in a pod's `affinity`."""


class TopologySpreadConstraint(Model):
    """How evenly the pods are spread over nodes, zones or the like."""

    model_config = validated(
        rule(
            "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
            "minDomains needs whenUnsatisfiable DoNotSchedule",
        )
    )

    max_skew: Annotated[int, Field(ge=1, le=1000)]
    """By how many pods two domains may differ."""
    topology_key: LabelKey
    """The label of nodes that makes a domain, such as `topology.kubernetes.io/zone`."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    """Whether a pod that can't be placed so waits, or is placed all the same."""
    label_selector: LabelSelector | None = None
    """Which pods are counted; left out: those of this run."""
    min_domains: Annotated[int, Field(ge=1, le=1000)] | None = None
    """How many domains there must be, for `DoNotSchedule`."""
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    """Whether only nodes that node affinity and selector allow are counted. Kubernetes' default is `Honor`."""
    node_taints_policy: Literal["Honor", "Ignore"] | None = None
    """Whether only nodes whose taints are tolerated are counted. Kubernetes' default is `Ignore`."""


class OptionalKeyRef(KeyRef):
    """One key of one object in the test's namespace."""

    optional: bool = False
    """Whether pods start without it, too."""


class FieldRef(Model):
    """A field of the pod."""

    field_path: FieldPath
    """Such as `spec.nodeName`, `status.hostIP` or `metadata.labels['team']`."""


class ResourceFieldRef(Model):
    """An amount that the container is given."""

    resource: Literal["limits.cpu", "limits.memory", "requests.cpu", "requests.memory"]
    """Which: CPU in whole cores, rounded up, memory in bytes. A limit that isn't set is what the node has."""


class EnvSource(Model):
    """Where a variable's value comes from."""

    model_config = validated(exactly_one("configMapKeyRef", "secretKeyRef", "fieldRef", "resourceFieldRef"))

    config_map_key_ref: OptionalKeyRef | None = None
    """A key of a ConfigMap."""
    secret_key_ref: OptionalKeyRef | None = None
    """A key of a Secret; the value is never stored or shown."""
    field_ref: FieldRef | None = None
    """A field of the pod."""
    resource_field_ref: ResourceFieldRef | None = None
    """An amount that the container is given."""


class EnvVar(Model):
    """An environment variable of the runner. Python journeys see it in `os.environ`."""

    model_config = validated(
        at_most_one("value", "valueFrom"),
        rule(
            f"!self.name.startsWith('{OWN_VARIABLE_PREFIX}') && !(self.name in {list(OWN_VARIABLES)})",
            f"{OWN_VARIABLE_PREFIX}… and {', '.join(OWN_VARIABLES)} are loadgate's own",
        ),
    )

    name: EnvironmentName
    """The variable's name."""
    value: Annotated[str, StringConstraints(max_length=8192)] | None = None
    """Its value; `$(NAME)` is the value of a variable before it."""
    value_from: EnvSource | None = None
    """Where its value comes from, in place of `value`."""


class KeyToPath(Model):
    """One key, and the file it becomes."""

    key: Key
    """The key."""
    path: RelativePath
    """The file's path in the volume."""


_Items = Annotated[list[KeyToPath], Field(max_length=64)]


class ConfigMapVolume(Model):
    """The keys of a ConfigMap as files."""

    name: ObjectName
    """The ConfigMap's name."""
    items: _Items = Field(default=[])
    """Which keys, and where; all of them when left out."""
    optional: bool = False
    """Whether pods start without it, too."""


class SecretVolume(Model):
    """The keys of a Secret as files."""

    secret_name: ObjectName
    """The Secret's name."""
    items: _Items = Field(default=[])
    """Which keys, and where; all of them when left out."""
    optional: bool = False
    """Whether pods start without it, too."""


class EmptyDirVolume(Model):
    """A folder that is empty at the start and gone with the pod."""

    medium: Literal["Memory"] | None = None
    """`Memory`: it is in memory, and counts to the container's."""
    size_limit: Memory | None = None
    """How large it may become."""


class ClaimVolume(Model):
    """A volume that outlives the pods. All runners mount the same one, so it must allow that."""

    claim_name: ObjectName
    """The PersistentVolumeClaim's name."""
    read_only: bool = False
    """Whether it can't be written to."""


class Volume(Model):
    """Files for the runner. Volumes of a node, tokens of service accounts and drivers' own volumes aren't taken."""

    model_config = validated(
        exactly_one("configMap", "secret", "emptyDir", "persistentVolumeClaim"),
        rule(f"!self.name.startsWith('{OWN_VOLUME_PREFIX}')", f"{OWN_VOLUME_PREFIX}… are loadgate's own"),
    )

    name: LabelName
    """What `volumeMounts` call it."""
    config_map: ConfigMapVolume | None = None
    """The keys of a ConfigMap as files."""
    secret: SecretVolume | None = None
    """The keys of a Secret as files."""
    empty_dir: EmptyDirVolume | None = None
    """A folder that is empty at the start and gone with the pod."""
    persistent_volume_claim: ClaimVolume | None = None
    """A volume that outlives the pods."""


class VolumeMount(Model):
    """Where the runner finds a volume."""

    model_config = validated(
        rule(
            f"!{list(OWN_FOLDERS)}.exists(own, self.mountPath == own || self.mountPath.startsWith(own + '/')"
            f" || own.startsWith(self.mountPath + '/')) && !(self.mountPath in {list(SHARED_FOLDERS)})",
            f"not at, in or around {', '.join(OWN_FOLDERS)}, and not at {' and '.join(SHARED_FOLDERS)}",
        )
    )

    name: LabelName
    """The volume's name."""
    mount_path: MountPath
    """The folder, or with `subPath` perhaps the file."""
    sub_path: RelativePath | None = None
    """A folder or a file in the volume, in place of all of it."""
    read_only: bool = False
    """Whether it can't be written to."""


def _not_ours(field: str) -> JsonDict:
    return rule(
        f"!has(self.{field}) || self.{field}.all(key, !(key in {list(OWN_LABELS)})"
        f" && !{list(OWN_LABEL_PREFIXES)}.exists(own, key.startsWith(own)))",
        f"{', '.join((*OWN_LABEL_PREFIXES, *OWN_LABELS))} can't be set",
    )


class PodTemplate(Model):
    """What the pods of runners are, beside what makes them runners."""

    model_config = validated(
        rule(
            "!has(self.volumeMounts) || self.volumeMounts.all(mount,"
            " has(self.volumes) && self.volumes.exists(volume, volume.name == mount.name))",
            "each of volumeMounts needs a volume of its name",
        ),
        rule(
            "!has(self.volumes) || self.volumes.all(volume,"
            " has(self.volumeMounts) && self.volumeMounts.exists(mount, mount.name == volume.name))",
            "each of volumes must be mounted by one of volumeMounts",
        ),
        _not_ours("labels"),
        _not_ours("annotations"),
    )

    resources: Resources = Resources()
    """What each pod's container is given."""
    env: Annotated[list[EnvVar], Field(max_length=64, json_schema_extra=_map_by("name"))] = Field(default=[])
    """Environment variables of the runner."""
    volumes: Annotated[list[Volume], Field(max_length=32, json_schema_extra=_map_by("name"))] = Field(default=[])
    """Files for the runner, each mounted by at least one of `volumeMounts`."""
    volume_mounts: Annotated[list[VolumeMount], Field(max_length=32, json_schema_extra=_map_by("mountPath"))] = Field(
        default=[]
    )
    """Where the runner finds them."""
    image_pull_secrets: Annotated[list[PullSecret], Field(max_length=16, json_schema_extra=_map_by("name"))] = Field(
        default=[]
    )
    """Secrets of the test's namespace to pull the image with."""
    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] = Field(default={})
    """Labels that a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=32)] = Field(default=[])
    """Taints of nodes that the pods put up with."""
    affinity: Affinity | None = None
    """Which nodes, and which other pods, the pods keep to or keep off."""
    topology_spread_constraints: (
        Annotated[
            list[TopologySpreadConstraint],
            Field(max_length=16, json_schema_extra=_map_by("topologyKey", "whenUnsatisfiable")),
        ]
        | None
    ) = None
    """How the pods are spread: over nodes where that can be, when left out; not at all with an empty list."""
    priority_class_name: ObjectName | None = None
    """The PriorityClass."""
    service_account_name: ObjectName | None = None
    """The ServiceAccount, for what hangs on it (pull secrets, a cloud's identity). Its token is not mounted."""
    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] = Field(default={})
    """More labels of the pods."""
    annotations: Annotated[dict[LabelKey, Text], Field(max_length=32)] = Field(default={})
    """More annotations of the pods."""


class Needed(NamedTuple):
    """What pods can't start without: a ConfigMap or a Secret of their namespace; `key` is None for the whole of it."""

    kind: Literal["ConfigMap", "Secret"]
    name: str
    key: str | None


def needed(pods: PodTemplate) -> Iterator[Needed]:
    """All that the pods' variables and volumes are made of and that isn't optional."""
    for variable in pods.env:
        source = variable.value_from
        if source and (ref := source.config_map_key_ref) and not ref.optional:
            yield Needed("ConfigMap", ref.name, ref.key)
        if source and (ref := source.secret_key_ref) and not ref.optional:
            yield Needed("Secret", ref.name, ref.key)
    for volume in pods.volumes:
        if (files := volume.config_map) and not files.optional:
            yield from _of_volume("ConfigMap", files.name, files.items)
        if (hidden := volume.secret) and not hidden.optional:
            yield from _of_volume("Secret", hidden.secret_name, hidden.items)


def _of_volume(kind: Literal["ConfigMap", "Secret"], name: str, items: list[KeyToPath]) -> Iterator[Needed]:
    yield from (Needed(kind, name, item.key) for item in items)
    if not items:
        yield Needed(kind, name, None)
