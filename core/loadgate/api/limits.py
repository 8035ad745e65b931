"""A limit on a metric, in the grammar that k6 users know, as LoadTests and budgets hold it."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from .base import Model
from .units import Duration

EXPRESSION_PATTERN = (
    r"^\s*(p\(\s*[0-9]+(\.[0-9]+)?\s*\)|avg|min|max|med|count|rate|value)\s*"
    r"(<=|>=|===?|!==?|<|>)\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
)

Expression = Annotated[str, StringConstraints(max_length=128), Field(json_schema_extra={"pattern": EXPRESSION_PATTERN})]


class Threshold(Model):
    """A limit of this test. A text in place of the object is its `threshold`."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-loadgate-or-text": {
                "words": "a limit like p(95)<500",
                "schema": {"type": "string", "pattern": EXPRESSION_PATTERN, "maxLength": 128},
            }
        }
    )

    threshold: Expression
    """The limit, such as `p(95)<500`, `rate<0.01` or `count>1000`; durations are in milliseconds."""
    abort_on_fail: bool = False
    """Whether to end the run as Failed as soon as the limit is broken."""
    delay_abort_eval: Duration = Duration("0s")
    """How long after the load's start `abortOnFail` begins to look."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"threshold": value} if isinstance(value, str) else value


MetricName = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Thresholds = Annotated[
    dict[MetricName, Annotated[list[Threshold], Field(min_length=1, max_length=20)]], Field(max_length=100)
]
