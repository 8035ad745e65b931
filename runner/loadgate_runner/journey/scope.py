"""What the names in templates mean where they stand."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .errors import JourneyError
from .secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .data import Source
    from .values import Value

_OF_THE_STATE: Final[Mapping[tuple[str, ...], Value]] = {
    ("vu", "id"): lambda state: state.id,
    ("vu", "iteration"): lambda state: state.iteration,
    ("iteration",): lambda state: state.number,
}


@dataclass
class Scope:
    """What names mean where a template stands. `used` collects the data sources that the templates read."""

    run: str
    runner_index: int
    scenario: str
    secrets: Secrets = field(default_factory=Secrets)
    sources: Mapping[str, Source] = field(default_factory=dict)
    setup: Mapping[str, Any] = field(default_factory=dict)
    wall: Callable[[], float] = time.time
    used: set[str] = field(default_factory=set)


def compile_name(path: tuple[str, ...], scope: Scope) -> Any:
    """Return what gives a name's value, or the value itself when it is known now (values are never callable)."""
    if path in _OF_THE_STATE:
        return _OF_THE_STATE[path]
    match path:
        case ("scenario",):
            return scope.scenario
        case ("run", "id"):
            return scope.run
        case ("runner", "index"):
            return scope.runner_index
        case ("secret", name) if name in scope.secrets:
            return scope.secrets[name]
        case ("data", source, column) if source in scope.sources:
            if not scope.sources[source].has(column):
                raise JourneyError(f"the data {source!r} has no column {column!r}")
            scope.used.add(source)
            return lambda state: state.rows[source].get(column)
        case ("setup", name):
            return lambda _state: scope.setup.get(name)
        case (name,):
            return lambda state: state.vars.get(name)
    raise JourneyError(f"`${{{'.'.join(path)}}}` names nothing")
