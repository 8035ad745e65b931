"""`--set path=value`: a field of the manifest, changed for this run."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from loadgate.api import yamltree
from loadgate.api.faults import Fault, InvalidSpec
from loadgate.api.paths import Path, format_path, parse_path

_ROOTS = ("spec", "metadata")
_HINT = 'a path is written spec.scenarios[0].vus, or spec.thresholds["http_reqs{name:a}"] for a name with signs in it'


@dataclass(frozen=True)
class Override:
    """One field and its new value; `text` is the path as it was written."""

    text: str
    path: Path
    value: Any


def parse(argument: str) -> Override:
    """Read `path=value`, the value as YAML; raises InvalidSpec."""
    text, equals, value = _divide(argument)
    if not equals:
        raise _invalid(text, "has no value", "write --set path=value")
    return Override(text, _path(text), _value(text, value))


def apply(overrides: Iterable[Override], raw: dict[str, Any]) -> dict[str, Any]:
    """A manifest with the fields changed; the given one stays as it is. Raises InvalidSpec with all faults."""
    changed = copy.deepcopy(raw)
    faults: list[Fault] = []
    for override in overrides:
        try:
            _put(changed, override)
        except InvalidSpec as error:
            faults += error.faults
    if faults:
        raise InvalidSpec(faults)
    return changed


def _divide(argument: str) -> tuple[str, str, str]:
    """At the first equals sign that has a path before it: names in brackets may hold some of their own."""
    for place, sign in enumerate(argument):
        if sign == "=" and _is_path(argument[:place]):
            return argument[:place], sign, argument[place + 1 :]
    return argument.partition("=")


def _is_path(text: str) -> bool:
    try:
        return bool(parse_path(text))
    except ValueError:
        return False


def _path(text: str) -> Path:
    try:
        path = parse_path(text)
    except ValueError as error:
        raise _invalid(text, str(error), _HINT) from error
    if not path or path[0] not in _ROOTS:
        raise _invalid(text, "doesn't begin with spec or metadata", _HINT)
    if len(path) == 1:
        raise _invalid(text, f"would replace the whole {text}", "name a field in it")
    return path


def _value(text: str, value: str) -> Any:
    trees = yamltree.read(value)
    if not trees:
        return None
    if len(trees) > 1 or trees[0].wrongs:
        raise _invalid(
            text, f"the value {value!r} is {trees[0].wrongs[0].message if trees[0].wrongs else 'not one value'}"
        )
    return trees[0].value


def _put(raw: dict[str, Any], override: Override) -> None:
    here: Any = raw
    for place, part in enumerate(override.path[:-1]):
        here = _step_into(here, part, override, place)
    last = override.path[-1]
    if isinstance(last, int):
        items = _list(here, override, len(override.path) - 1)
        if last > len(items):
            raise _invalid(override.text, _beyond(override, len(override.path) - 1, len(items)))
        items[last : last + 1] = [override.value]
    else:
        _mapping(here, override, len(override.path) - 1)[last] = override.value


def _step_into(here: Any, part: str | int, override: Override, place: int) -> Any:
    if isinstance(part, int):
        items = _list(here, override, place)
        if part >= len(items):
            raise _invalid(override.text, _beyond(override, place, len(items)))
        return items[part]
    mapping = _mapping(here, override, place)
    if mapping.get(part) is None:
        mapping[part] = [] if isinstance(override.path[place + 1], int) else {}
    return mapping[part]


def _list(here: Any, override: Override, place: int) -> list[Any]:
    if not isinstance(here, list):
        raise _invalid(override.text, f"{format_path(override.path[:place])} is no list", "leave the [number] out")
    return here


def _mapping(here: Any, override: Override, place: int) -> dict[str, Any]:
    if isinstance(here, list):
        hint = f"say which: {format_path(override.path[:place])}[0]"
        raise _invalid(override.text, f"{format_path(override.path[:place])} is a list of {len(here)}", hint)
    if not isinstance(here, dict):
        raise _invalid(override.text, f"{format_path(override.path[:place])} is {here!r} and has no fields")
    return here


def _beyond(override: Override, place: int, length: int) -> str:
    there = f"[0] to [{length - 1}] are there" if length else "it is empty"
    return f"{format_path(override.path[: place + 1])} is beyond the list's end: {there}"


def _invalid(text: str, message: str, hint: str = "") -> InvalidSpec:
    return InvalidSpec([Fault(path=text, message=message, hint=hint, file="--set")])
