"""PerformanceBudget: limits that many tests are held to."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from .base import Model
from .cel import rule, validated
from .limits import Expression, MetricName
from .metadata import ObjectMeta
from .status import BudgetStatus
from .units import Duration, Ratio

Statistic = Literal["p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "avg", "max"]
"""What a response time may be limited by."""

Endpoint = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""A request's name, or `*` for all requests together."""

_LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=317)]
_LabelValue = Annotated[str, StringConstraints(max_length=63)]


class LabelRequirement(Model):
    """One demand on a label."""

    model_config = validated(
        rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "In and NotIn need values; Exists and DoesNotExist take none",
        )
    )

    key: _LabelKey
    """The label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How it is compared."""
    values: Annotated[list[_LabelValue], Field(max_length=64)] = Field(default=[])
    """The values, for `In` and `NotIn`."""


class LabelSelector(Model):
    """Labels that a test must have; an empty selector matches every test."""

    match_labels: Annotated[dict[_LabelKey, _LabelValue], Field(max_length=64)] = Field(default={})
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


class Throughput(Model):
    """A limit on how much gets done."""

    min: Annotated[float, Field(gt=0)]
    """Requests per second at least."""


class ErrorRate(Model):
    """A limit on how much goes wrong."""

    max: Ratio
    """The share of failed requests at most: `1%` or 0.01."""


class PerformanceBudgetSpec(Model):
    """What a PerformanceBudget asks for."""

    model_config = validated(
        rule(
            "has(self.responseTime) || has(self.throughput) || has(self.errorRate) || has(self.metrics)",
            "give at least one of responseTime, throughput, errorRate and metrics",
        )
    )

    selector: LabelSelector | None = None
    """Which LoadTests of this namespace it judges. Left out, only those that name it in `spec.budgets`."""
    enforcement: Literal["Fail", "Warn"] = "Fail"
    """`Fail`: a broken limit fails the test. `Warn`: it is reported, and no verdict changes."""
    response_time: Annotated[
        dict[Endpoint, Annotated[dict[Statistic, Duration], Field(min_length=1)]], Field(max_length=100)
    ] = Field(default={})
    """Response times at most, by endpoint (a request's name, or `*` for all together) and statistic."""
    throughput: Annotated[dict[Endpoint, Throughput], Field(max_length=100)] = Field(default={})
    """Requests per second at least, by endpoint."""
    error_rate: Annotated[dict[Endpoint, ErrorRate], Field(max_length=100)] = Field(default={})
    """The share of failed requests at most, by endpoint."""
    metrics: Annotated[
        dict[MetricName, Annotated[list[Expression], Field(min_length=1, max_length=20)]], Field(max_length=100)
    ] = Field(default={})
    """Limits on any other metric, in the thresholds' grammar."""


class PerformanceBudget(Model):
    """Limits that every LoadTest which it selects is held to."""

    model_config = ConfigDict(title="PerformanceBudget")

    api_version: Literal["loadgate.dev/v1alpha1"] = "loadgate.dev/v1alpha1"
    """The version of this schema."""
    kind: Literal["PerformanceBudget"] = "PerformanceBudget"
    """What kind of object it is."""
    metadata: ObjectMeta
    """The object's name, namespace, labels and annotations."""
    spec: PerformanceBudgetSpec
    """What is asked for."""
    status: BudgetStatus = BudgetStatus()
    """How the tests that it judges stand; written by the operator."""
