"""What pydantic found, in words that a manifest's author can act on: one fault a mistake, at its own path."""

import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .base import manifest_names
from .described import descriptions
from .faults import Fault
from .grammar.errors import did_you_mean
from .names import PATTERNS
from .paths import Path, format_path
from .rules.findings import MAX_FAULTS
from .scenarios import EXECUTORS, ScenarioBase

_KINDS = ((bool, "true or false"), (int | float, "a number"), (str, "a text"), (list, "a list"), (Mapping, "an object"))
_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}
_DESCRIBED_LENGTH = 120


class _AnyScenario(ScenarioBase):
    """What can be said of a scenario whose executor isn't known."""

    model_config = ConfigDict(extra="ignore")


def faults_of(error: ValidationError, model: type[BaseModel], raw: object) -> list[Fault]:
    """Every mistake that pydantic found when it read `raw` as the model."""
    listed = error.errors(include_url=False)[:MAX_FAULTS]
    return [fault for details in listed for fault in _faults(details, model, raw)]


def _faults(details: ErrorDetails, model: type[BaseModel], raw: object) -> list[Fault]:
    place = _Place(model, raw, details["loc"])
    kind = details["type"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _executor_faults(place, details["input"])
    message, hint = _TRANSLATIONS.get(kind, _other)(details, place)
    return [Fault(format_path(place.path), message, hint)]


def _executor_faults(place: "_Place", scenario: Any) -> list[Fault]:
    executor = scenario.get("executor")
    path = format_path((*place.path, "executor"))
    if executor is None:
        faults = [Fault(path, "is missing", f"one of {', '.join(EXECUTORS)}")]
    else:
        faults = [Fault(path, *_choice(executor, list(EXECUTORS)))]
    try:
        _AnyScenario.model_validate(scenario, by_name=False)
    except ValidationError as error:
        prefix = format_path(place.path)
        faults += [
            Fault(f"{prefix}.{fault.path}", fault.message, fault.hint)
            for fault in faults_of(error, _AnyScenario, scenario)
        ]
    return faults


class _Place:
    """Where in the manifest an error is, and what the models expect there."""

    def __init__(self, model: type[BaseModel], raw: object, location: tuple[int | str, ...]) -> None:
        self.path: Path = ()
        self.field: FieldInfo | None = None
        self.owner: type[BaseModel] = model
        expected: Any = model
        for part in location:
            if not isinstance(raw, dict | list) or part == "[key]":
                break  # a text that stands for an object has no parts of its own; a key's fault is at the entry
            inner = _descend(expected, part)
            if inner is not None and inner in EXECUTORS.values() and part in EXECUTORS:
                expected = inner  # the tag of a union: a way to a model, not a part of the path
                continue
            owner = _model_of(expected)
            self.owner = owner or self.owner
            self.field = _fields(owner).get(str(part)) if owner else None
            self.path = (*self.path, part)
            expected = inner
            raw = _inside(raw, part)
        self.expected = _model_of(expected)

    @property
    def description(self) -> str:
        """What is said of the field that is expected here."""
        names = manifest_names(self.owner)
        said = {names[name]: words for name, words in descriptions(self.owner).items()}
        return said.get(str(self.path[-1]), "") if self.path else ""


def _inside(raw: Any, part: int | str) -> object:
    if isinstance(raw, dict):
        return raw.get(part)
    return raw[part] if isinstance(part, int) and part < len(raw) else None


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    model.model_rebuild()  # steps stand within steps, so their types are known late
    names = manifest_names(model)
    return {names[name]: info for name, info in model.model_fields.items()}


def _bare(annotation: Any) -> Any:
    """The annotation without `Annotated` and without `None`."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        options = [option for option in get_args(annotation) if option is not type(None)]
        if len(options) == 1:
            return _bare(options[0])
    return annotation


def _model_of(annotation: Any) -> type[BaseModel] | None:
    bare = _bare(annotation)
    return bare if isinstance(bare, type) and issubclass(bare, BaseModel) else None


def _descend(annotation: Any, part: int | str) -> Any:
    """What is expected one step further in; None where the models leave it open."""
    bare = _bare(annotation)
    if model := _model_of(bare):
        info = _fields(model).get(str(part))
        return info.annotation if info else None
    origin, arguments = get_origin(bare), get_args(bare)
    if origin in (Union, types.UnionType):
        return EXECUTORS.get(str(part))
    if origin is list:
        return arguments[0]
    if origin is dict:
        return arguments[1]
    return None


def _missing(_details: ErrorDetails, place: _Place) -> tuple[str, str]:
    return "is missing", _first_sentence(place.description)


def _unknown(details: ErrorDetails, place: _Place) -> tuple[str, str]:
    return "there is no such field", did_you_mean(str(details["loc"][-1]), _fields(place.owner))


def _wrong_type(details: ErrorDetails, place: _Place) -> tuple[str, str]:
    value, wanted = details["input"], _WANTED[details["type"]]
    if details["type"] == "model_type" and place.expected and (text := _or_text(place.expected)):
        wanted = f"{text}, or an object with {', '.join(_fields(place.expected))}"
    return f"must be {wanted}, not {_kind(value)}", _wrong_type_hint(details["type"], value)


def _wrong_type_hint(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return f'put it in quotes: "{text}"'
    if kind in ("int_type", "float_type") and isinstance(value, str) and value.lstrip("-").isdigit():
        return f"write it without quotes: {value}"
    return ""


def _or_text(model: type[BaseModel]) -> str:
    """What a text may stand for in place of the model's object; empty where none may."""
    extra = model.model_config.get("json_schema_extra")
    marked = extra.get("x-loadgate-or-text") if isinstance(extra, Mapping) else None
    return str(marked["words"]) if isinstance(marked, dict) else ""


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return next((words for kind, words in _KINDS if isinstance(value, kind)), type(value).__name__)


def _choice(value: object, choices: list[str]) -> tuple[str, str]:
    close = did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"must be one of {', '.join(choices)}", close if close.startswith("did you mean") else ""


def _choice_of(details: ErrorDetails, place: _Place) -> tuple[str, str]:
    if place.field is not None and get_origin(_bare(place.field.annotation)) is Literal:
        return _choice(details["input"], [str(option) for option in get_args(_bare(place.field.annotation))])
    expected = details.get("ctx", {}).get("expected", "")
    return _choice(details["input"], [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")])


def _pattern(details: ErrorDetails, _place: _Place) -> tuple[str, str]:
    pattern = details["ctx"]["pattern"]
    return f"must be {PATTERNS.get(pattern, f'of the form {pattern}')}", ""


def _bound(words: str, key: str) -> Callable[[ErrorDetails, _Place], tuple[str, str]]:
    def translate(details: ErrorDetails, _place: _Place) -> tuple[str, str]:
        bound = details["ctx"][key]
        return words.format(bound, "y" if bound == 1 else "ies", "" if bound == 1 else "s"), ""

    return translate


def _other(details: ErrorDetails, _place: _Place) -> tuple[str, str]:
    message = details["msg"]
    return message[0].lower() + message[1:], ""


def _first_sentence(description: str) -> str:
    sentence = description.split(". ", maxsplit=1)[0].rstrip(".").replace("\n", " ")
    return sentence if len(sentence) <= _DESCRIBED_LENGTH else ""


_TRANSLATIONS: dict[str, Callable[[ErrorDetails, _Place], tuple[str, str]]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _choice_of,
    "enum": _choice_of,
    "string_pattern_mismatch": _pattern,
    "greater_than_equal": _bound("must be at least {0}", "ge"),
    "greater_than": _bound("must be more than {0}", "gt"),
    "less_than_equal": _bound("must be at most {0}", "le"),
    "string_too_short": _bound("must be at least {0} character{2} long", "min_length"),
    "string_too_long": _bound("must be at most {0} character{2} long", "max_length"),
    "too_short": _bound("must have at least {0} entr{1}", "min_length"),
    "too_long": _bound("must have at most {0} entr{1}", "max_length"),
    **dict.fromkeys(_WANTED, _wrong_type),
}
