"""How a resource names what is kept elsewhere: a key of a ConfigMap or of a Secret in its own namespace."""

from .base import Model
from .cel import exactly_one, validated
from .names import Key, MountPath, ObjectName


class KeyRef(Model):
    """One key of one object in the test's namespace."""

    name: ObjectName
    """The object's name."""
    key: Key
    """The key in it."""


class ConfigMapSource(Model):
    """Contents that come from a ConfigMap."""

    config_map_key_ref: KeyRef
    """The ConfigMap and the key in it."""


class FileSource(Model):
    """A file's contents."""

    model_config = validated(exactly_one("configMapKeyRef", "path"))

    config_map_key_ref: KeyRef | None = None
    """The ConfigMap and the key in it."""
    path: MountPath | None = None
    """The file's path in the runner, such as one on a volume that `runners.volumeMounts` has there."""


class SecretSource(Model):
    """A value that comes from a Secret; it reaches the runners as environment and is never stored or shown."""

    secret_key_ref: KeyRef
    """The Secret and the key in it."""
