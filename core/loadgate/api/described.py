"""What stands below a field in its class is its description, the one source for the CRDs, the reference and messages.

It is read from the source when someone asks. Every process pays for the import of the models, and runners never ask.
"""

import ast
import inspect
import sys
from functools import cache

from pydantic import BaseModel


@cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What is said of a model's fields, by their names; those of which nothing is said are left out."""
    words: dict[str, str] = {}
    for ancestor in reversed(model.__mro__):
        words |= _classes(ancestor.__module__).get(ancestor.__name__, {}) if issubclass(ancestor, BaseModel) else {}
    return {name: words[name] for name in model.model_fields if name in words}


@cache
def _classes(module: str) -> dict[str, dict[str, str]]:
    """Of the classes of a module, what stands below each attribute."""
    source = inspect.getsource(sys.modules[module])
    return {node.name: _attributes(node) for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


def _attributes(node: ast.ClassDef) -> dict[str, str]:
    found = {}
    for statement, below in zip(node.body, node.body[1:], strict=False):
        match statement, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = inspect.cleandoc(text)
    return found
