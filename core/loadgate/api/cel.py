"""Rules that span fields, in the API server's words (CEL); they stand beside the models that they are about.

The API server counts what a rule could cost at most, over every place where it may stand, so rules are cheap ones.
"""

from pydantic import ConfigDict
from pydantic.config import JsonDict

RULES = "x-kubernetes-validations"
_RESERVED = frozenset({"if", "while", "else", "for"})


def rule(expression: str, message: str) -> JsonDict:
    """A rule, and what is said where it doesn't hold."""
    return {"rule": expression, "message": message}


def exactly_one(*fields: str) -> JsonDict:
    """Exactly one of the fields is given."""
    return rule(f"{_given(fields)} == 1", f"give exactly one of {_listed(fields)}")


def at_most_one(*fields: str) -> JsonDict:
    """At most one of the fields is given."""
    return rule(f"{_given(fields)} <= 1", f"give at most one of {_listed(fields)}")


def at_least_one(*fields: str) -> JsonDict:
    """At least one of the fields is given."""
    return rule(f"{_given(fields)} >= 1", f"give at least one of {_listed(fields)}")


def validated(*rules: JsonDict) -> ConfigDict:
    """A model's configuration with these rules."""
    return ConfigDict(json_schema_extra={RULES: list(rules)})


def _given(fields: tuple[str, ...]) -> str:
    names = (f"__{field}__" if field in _RESERVED else field for field in fields)
    return " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in names)


def _listed(fields: tuple[str, ...]) -> str:
    return f"{', '.join(fields[:-1])} and {fields[-1]}"
