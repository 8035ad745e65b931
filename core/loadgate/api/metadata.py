"""The part of an object's metadata that loadgate reads; Kubernetes owns the rest, so unknown fields are no faults."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .base import Model
from .names import LabelName, ObjectName
from .timestamps import Timestamp


class ObjectMeta(Model):
    """A name, where it is, and what others hung on it."""

    model_config = ConfigDict(extra="ignore")

    name: ObjectName
    """The object's name, unique among its kind in the namespace."""
    namespace: LabelName = "default"
    """The namespace it is in."""
    labels: dict[str, str] = Field(default={})
    """Labels, by which budgets select tests."""
    annotations: dict[str, str] = Field(default={})
    """Annotations; `loadgate.dev/rerun` asks for another run with each new value."""
    uid: str = ""
    """What tells it from an earlier object of the same name."""
    generation: Annotated[int, Field(ge=0)] = 0
    """Grows with each change of the spec."""
    creation_timestamp: Timestamp | None = None
    """When it was made."""
    deletion_timestamp: Timestamp | None = None
    """When it was asked to go, if it was."""
