"""Structural OpenAPI schemas, as the API server demands of a CRD, made from the models.

What pydantic writes is JSON Schema: references, unions and nulls. A structural schema has none of these: references are
written out, steps inside steps are left open (a schema can't contain itself), the scenarios' union becomes one object
with CEL rules that say which executor takes what, and a value of several shapes is left open but for its pattern.
"""

import itertools
from collections.abc import Iterable
from typing import Any

from .base import Model
from .cel import RULES, rule
from .names import PATTERNS
from .scenarios import EXECUTORS
from .steps import BODIES

Schema = dict[str, Any]

_OPEN = "x-kubernetes-preserve-unknown-fields"
_KEPT = (
    "type",
    "format",
    "nullable",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-int-or-string",
    _OPEN,
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    RULES,
)
_RECURSIVE = "Step"
_LEFT_OPEN = "Exchange"
"""In lists within lists of steps, where the API server would refuse what rules could cost; our own validation looks."""


def structural(model: type[Model]) -> Schema:
    """The structural schema of a model."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _Writer(raw.pop("$defs", {})).write(raw, ())


class _Writer:
    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions

    def write(self, raw: Schema, within: tuple[str, ...]) -> Schema:
        """The structural form of a schema that stands within the named definitions."""
        if "$ref" in raw:
            return self._reference(raw, within)
        if "oneOf" in raw:
            return _described(raw, self._one_of_scenarios(raw, within))
        if "anyOf" in raw:
            (option,) = (option for option in raw["anyOf"] if option != {"type": "null"})
            return _described(raw, self.write(option, within))
        written = _plain(raw)
        if "items" in raw:
            written["items"] = self.write(raw["items"], within)
        if "properties" in raw:
            written |= self._properties(raw, within)
        written |= self._map(raw, within)
        if "x-loadgate-or-text" in raw:
            written = _or_text(written, raw["x-loadgate-or-text"]["schema"])
        return _described(raw, _bodies(written))

    def _reference(self, raw: Schema, within: tuple[str, ...]) -> Schema:
        name = raw["$ref"].rsplit("/", 1)[-1]
        if name in within and name == _RECURSIVE:
            return {"type": "object", _OPEN: True, "description": "A step, as on the first level."}
        if name == _LEFT_OPEN:
            return {"type": "object", _OPEN: True, "description": self._definitions[name]["description"]}
        return _described(raw, self.write(self._definitions[name], (*within, name)))

    def _properties(self, raw: Schema, within: tuple[str, ...]) -> Schema:
        written: Schema = {"properties": {name: self.write(part, within) for name, part in raw["properties"].items()}}
        if raw.get("required"):
            written["required"] = list(raw["required"])
        return written

    def _map(self, raw: Schema, within: tuple[str, ...]) -> Schema:
        """The values of an object with free keys; nothing for any other schema."""
        for pattern, values in raw.get("patternProperties", {}).items():
            return {"additionalProperties": self.write(values, within), RULES: [_keys_match(pattern)]}
        if not isinstance(raw.get("additionalProperties"), dict):
            return {}
        values = self.write(raw["additionalProperties"], within)
        keys = raw.get("propertyNames", {})
        if "enum" in keys:
            return {"properties": {key: {**values, "description": f"The limit on {key}."} for key in keys["enum"]}}
        return {"additionalProperties": values}

    def _one_of_scenarios(self, raw: Schema, within: tuple[str, ...]) -> Schema:
        references = raw["discriminator"]["mapping"]
        return merge_by_executor({tag: self.write({"$ref": references[tag]}, within) for tag in EXECUTORS})


def _plain(raw: Schema) -> Schema:
    """What both kinds of schema say in the same words, or nearly so."""
    written = {key: raw[key] for key in _KEPT if key in raw}
    if "const" in raw:
        written["enum"] = [raw["const"]]
    if "exclusiveMinimum" in raw:
        written |= {"minimum": raw["exclusiveMinimum"], "exclusiveMinimum": True}
    return written


def _described(raw: Schema, written: Schema) -> Schema:
    """With the description and the default that stand beside a reference or a union."""
    described = dict(written)
    if "description" in raw:
        described["description"] = raw["description"]
    if (default := _default(raw, written)) is not None:
        described["default"] = default
    first: Schema = {key: described.pop(key) for key in ("description", "type", "default") if key in described}
    return {**first, **described}


def _default(raw: Schema, written: Schema) -> Any:
    """What the API server fills in: values that say something; an object only so that its own fields are filled in."""
    default = raw.get("default")
    if default is None or default in ([], {}):
        return None
    if isinstance(default, dict) and written.get("type") == "object":
        return {} if any("default" in part for part in written.get("properties", {}).values()) else None
    if isinstance(default, dict):
        return {key: value for key, value in default.items() if value is not None}
    return default


def _keys_match(pattern: str) -> Schema:
    return rule(f"self.all(key, key.matches('{pattern}'))", f"names must be {PATTERNS[pattern]}")


def _or_text(written: Schema, text: Schema) -> Schema:
    """An object or a text: its type is left open; the properties are the object's, and the rest is the text's."""
    return {_OPEN: True, **{key: text[key] for key in ("pattern", "maxLength")}, "properties": written["properties"]}


def _bodies(written: Schema) -> Schema:
    """CEL can't see a value that is left open, so what may not stand beside such a body is said without it."""
    properties = written.get("properties", {})
    if not set(BODIES) <= set(properties):
        return written
    pairs = [pair for pair in itertools.combinations(BODIES, 2) if set(pair) & {"json", "form"}]
    return {**written, "not": {"anyOf": [{"required": list(pair)} for pair in pairs]}}


def merge_by_executor(schemas: dict[str, Schema]) -> Schema:
    """One object with the fields of all executors, and rules that say which executor takes and needs which."""
    names = list(dict.fromkeys(name for schema in schemas.values() for name in schema["properties"]))
    names.sort(key=["name", "executor", *names].index)
    required = [name for name in names if all(name in schema["required"] for schema in schemas.values())]
    rules = [rule for schema in schemas.values() for rule in schema.get(RULES, ())]
    properties: Schema = {}
    for name in names:
        owners = {tag: schema for tag, schema in schemas.items() if name in schema["properties"]}
        properties[name] = _merged([schema["properties"][name] for schema in owners.values()], every=owners == schemas)
        if name == "executor":
            properties[name]["enum"] = list(schemas)
        if len(owners) < len(schemas):
            properties[name]["description"] += f" For {_listed(owners)}."
            rules.append(_only_for(name, owners))
        if name not in required and (needing := [tag for tag in owners if name in owners[tag]["required"]]):
            rules.append(_needed_by(name, needing))
    unique = [rule for index, rule in enumerate(rules) if rule not in rules[:index]]
    return {"type": "object", "properties": properties, "required": required, RULES: unique}


def _merged(parts: list[Schema], *, every: bool) -> Schema:
    merged = dict(parts[0])
    merged["description"] = " Or: ".join(dict.fromkeys(part["description"] for part in parts))
    if not every or any(part.get("default") != merged.get("default") for part in parts):
        merged.pop("default", None)  # it would be filled in for executors that don't take the field
    return merged


def _only_for(name: str, owners: Iterable[str]) -> Schema:
    return rule(f"!has(self.{name}) || self.executor in {_quoted(owners)}", f"{name} is only for {_listed(owners)}")


def _needed_by(name: str, needing: list[str]) -> Schema:
    message = f"{_listed(needing)} need{'s' if len(needing) == 1 else ''} {name}"
    return rule(f"has(self.{name}) || !(self.executor in {_quoted(needing)})", message)


def _quoted(words: Iterable[str]) -> str:
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
