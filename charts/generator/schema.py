"""What `runners.*` may be in the chart's values, from the model that the operator reads them by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from loadgate.api.pods import PodTemplate
from loadgate.api.schema import structural

if TYPE_CHECKING:
    from pathlib import Path

_NOT_OF_VALUES = ("default", "x-kubernetes-")
"""Beginnings of keywords that mean something to an API server only."""


def files(chart: Path) -> dict[Path, str]:
    """The schema of the chart's values with its fields of runners as they should be."""
    path = chart / "values.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    runners = schema["properties"]["runners"]
    fields = {name: _value(field) for name, field in structural(PodTemplate)["properties"].items()}
    runners["properties"] = {"image": runners["properties"]["image"], **fields}
    return {path: json.dumps(schema, indent=2, ensure_ascii=False) + "\n"}


def _value(field: dict[str, Any]) -> dict[str, Any]:
    """A field, which as a value of a chart may also be empty: then it isn't set."""
    schema = _plain(field)
    return {"anyOf": [{"const": ""}, schema]} if schema.get("type") == "string" else schema


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as JSON Schema says it; the rules between fields are the operator's to check."""
    out = {key: value for key, value in schema.items() if not key.startswith(_NOT_OF_VALUES)}
    if schema.get("x-kubernetes-int-or-string"):
        out["type"] = ["string", "integer"]
    if "properties" in schema:
        out["properties"] = {name: _plain(part) for name, part in schema["properties"].items()}
        out["additionalProperties"] = False
    elif "additionalProperties" in schema:
        out["additionalProperties"] = _plain(schema["additionalProperties"])
    if "items" in schema:
        out["items"] = _plain(schema["items"])
    return out
