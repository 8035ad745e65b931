"""Rows that journeys draw from, and secrets that they use."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from .base import Model
from .names import ShortText
from .references import ConfigMapSource

MAX_INLINE_ROWS = 10_000


class DataSource(Model):
    """Rows of named columns; `${data.SOURCE.COLUMN}` is this iteration's."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "[has(self.inline), has(self.csv), has(self.json)].filter(given, given).size() == 1",
                    "message": "give exactly one of inline, csv and json",
                }
            ]
        }
    )

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
