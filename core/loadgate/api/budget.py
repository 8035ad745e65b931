"""PerformanceBudget: limits that many tests are held to."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from .base import Model
from .cel import rule, validated
from .limits import Expression, MetricName
from .metadata import ObjectMeta
from .selectors import LabelSelector
from .status import BudgetStatus
from .units import Duration, Ratio

Statistic = Literal["p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "avg", "max"]
"""What a response time may be limited by."""

Endpoint = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""A request's name, or `*` for all requests together."""


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
