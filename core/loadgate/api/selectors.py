"""Which objects are meant, by their labels, as everywhere in Kubernetes."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Model
from .cel import rule, validated
from .names import LabelKey, LabelValue


class LabelRequirement(Model):
    """One demand on a label."""

    model_config = validated(
        rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "In and NotIn need values; Exists and DoesNotExist take none",
        )
    )

    key: LabelKey
    """The label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How it is compared."""
    values: Annotated[list[LabelValue], Field(max_length=64)] = Field(default=[])
    """The values, for `In` and `NotIn`."""


class LabelSelector(Model):
    """Labels that an object must have; an empty selector matches every one."""

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=64)] = Field(default={})
    """Labels that must have these values."""
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=32)] = Field(default=[])
    """Demands on labels, all of which must be met."""

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether an object with these labels is selected, as Kubernetes selects."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            _met(requirement, labels) for requirement in self.match_expressions
        )


def _met(requirement: LabelRequirement, labels: dict[str, str]) -> bool:
    match requirement.operator:
        case "In":
            return labels.get(requirement.key) in requirement.values
        case "NotIn":
            return labels.get(requirement.key) not in requirement.values
        case "Exists":
            return requirement.key in labels
        case "DoesNotExist":
            return requirement.key not in labels
