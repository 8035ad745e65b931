"""Rows that journeys draw from, and secrets that they use."""

from typing import Annotated, Any, Literal

from pydantic import Field

from .base import Model
from .cel import exactly_one, validated
from .names import ShortText
from .references import ConfigMapSource

MAX_INLINE_ROWS = 10_000


class DataSource(Model):
    """Rows of named columns; `${data.SOURCE.COLUMN}` is this iteration's."""

    model_config = validated(exactly_one("inline", "csv", "json"))

    inline: (
        Annotated[
            list[
                Annotated[dict[ShortText, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
            ],
            Field(max_length=MAX_INLINE_ROWS),
        ]
        | None
    ) = None
    """The rows themselves."""
    csv: ConfigMapSource | None = None
    """A CSV file, whose first line names the columns."""
    json_: ConfigMapSource | None = None
    """A JSON file that holds a list of objects."""
    order: Literal["sequential", "random", "unique"] = "sequential"
    """`sequential` goes round in order, `random` draws, `unique` gives each row to one iteration of the whole run."""
