"""The tables of docs/resources.md, written from the models: `python -m loadgate.api.reference [--check] FILE`.

The prose is by hand; what stands between `<!-- fields: MODEL -->`, `<!-- own: MODEL -->` (without what it inherits) or
`<!-- constants: NAME -->` and `<!-- end -->` is replaced.
"""

import argparse
import importlib
import json
import re
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from .base import Model, manifest_names
from .conditions import Documented
from .described import descriptions
from .scenarios import EXECUTORS
from .units import ByteRate, Cpu, Duration, Memory, Ratio

_MODULES = (
    "auth",
    "budget",
    "conditions",
    "data",
    "limits",
    "loadtest",
    "metadata",
    "pods",
    "references",
    "scenarios",
    "selectors",
    "status",
    "steps",
    "target",
)
_MARKED = re.compile(r"(<!-- (fields|own|constants): (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SIMPLE: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Any: "any value",
    Duration: "duration",
    Ratio: "ratio",
    Cpu: "quantity",
    Memory: "quantity",
    ByteRate: "quantity",
}
_SCALARS = (str, int, float, bool)


def fill(text: str) -> str:
    """The document with every marked table as the models have it; KeyError for a name that nothing has."""
    known = _known()
    linked = {name for _, _, name, _ in _MARKED.findall(text)}

    def table(found: re.Match[str]) -> str:
        what = known[found[3]]
        if found[2] == "constants":
            return f"{found[1]}{_constants(what)}{found[4]}"
        inherited = set(what.__base__.model_fields) if found[2] == "own" else set()
        return f"{found[1]}{_fields(what, inherited, linked)}{found[4]}"

    return _MARKED.sub(table, text)


def _known() -> dict[str, Any]:
    modules = [importlib.import_module(f"loadgate.api.{name}") for name in _MODULES]
    return {name: value for module in modules for name, value in vars(module).items() if isinstance(value, type)}


def _constants(constants: type[Documented]) -> str:
    rows = [f"| `{member}` | {member.doc} |\n" for member in constants]
    return "| name | meaning |\n| --- | --- |\n" + "".join(rows)


def _fields(model: type[Model], inherited: set[str], linked: set[str]) -> str:
    model.model_rebuild()  # steps stand within steps, so their types are known late
    words, names = descriptions(model), manifest_names(model)
    fields = [(name, info) for name, info in model.model_fields.items() if name not in inherited]
    rows = [
        f"| `{names[name]}` | {_type(info.annotation, linked)}{_range(info.metadata)} | {_default(info)} "
        f"| {_words(words.get(name, ''))} |"
        for name, info in fields
    ]
    return "\n".join(["| field | type | default | |", "| --- | --- | --- | --- |", *rows, ""])


def _words(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "*required*"
    if info.default in (None, {}, [], "") or isinstance(info.default, Model):
        return ""
    return f"`{json.dumps(info.default) if isinstance(info.default, bool) else info.default}`"


def _type(annotation: Any, linked: set[str]) -> str:
    """What a value is, in words; a model is a link where the document has a table of it."""
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0], linked) + _range(arguments[1:])
    if origin in (Union, types.UnionType):
        return _union(arguments, linked)
    if origin is Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    if origin is list:
        return f"list of {_type(arguments[0], linked)}"
    if origin is dict:
        return f"map to {_type(arguments[1], linked)}"
    name = annotation.__name__
    if name in linked:
        return f"[{name}](#{name.lower()})"
    return "time" if name == "datetime" or not issubclass(annotation, Model | Documented) else name


def _range(constraints: Iterable[Any]) -> str:
    """The bounds of a number, if there are any."""
    found: dict[str, Any] = {}
    for constraint in constraints:
        for single in constraint.metadata if isinstance(constraint, FieldInfo) else (constraint,):
            found |= {bound: getattr(single, bound) for bound in ("ge", "gt", "le") if hasattr(single, bound)}
    words = {"ge": "from", "gt": "over", "le": "to"}
    return "".join(f" {words[bound]} {found[bound]}" for bound in words if bound in found)


def _union(options: tuple[Any, ...], linked: set[str]) -> str:
    if set(options) == set(EXECUTORS.values()):
        return "[scenario](#scenarios-and-executors)"
    kinds = [option for option in options if option not in (type(None), *_SCALARS)]
    scalar = ["text, number, true or false"] if set(_SCALARS) <= set(options) else []
    single = [option for option in options if option in _SCALARS] if not scalar else []
    return " or ".join(dict.fromkeys([*scalar, *(_type(option, linked) for option in (*single, *kinds))]))


def main(arguments: list[str] | None = None) -> int:
    """Fill in the tables of a document, or with --check say whether they are up to date: 0 if so, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m loadgate.api.reference", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="the document")
    parser.add_argument("--check", action="store_true", help="write nothing; say whether it is up to date")
    options = parser.parse_args(arguments)
    text = options.file.read_text(encoding="utf-8")
    filled = fill(text)
    if options.check:
        if filled != text:
            sys.stderr.write(f"{options.file} is not what the models say: run python -m loadgate.api.reference on it\n")
        return int(filled != text)
    options.file.write_text(filled, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
