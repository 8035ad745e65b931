"""Secrets come from the environment, and go nowhere but into requests."""

from collections.abc import Mapping
from typing import Final

from .errors import JourneyError

_HIDDEN: Final = "***"
_SHORTEST: Final = 4
"""Characters. A shorter text occurs by chance, hides nothing, and would leave holes everywhere."""


class Secret(str):
    """A text that requests are made with; its repr, as in tracebacks and logs of containers, hides it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _HIDDEN


class Secrets(dict[str, Secret]):
    """A test's secrets by name; also as attributes, for Python journeys."""

    def __getattr__(self, name: str) -> Secret:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the test declares no secret {name!r}") from None

    def redact(self, text: str) -> str:
        """Return the text without any secret in it, but for such as are too short to be one."""
        for secret in sorted(self.values(), key=len, reverse=True):
            if len(secret) >= _SHORTEST:
                text = text.replace(str(secret), _HIDDEN)
        return text


def load(variables: Mapping[str, str], environ: Mapping[str, str]) -> Secrets:
    """Read secrets, given by name with the environment variable that holds each."""
    missing = [f"{name} ({variable})" for name, variable in variables.items() if variable not in environ]
    if missing:
        raise JourneyError(f"no value in the environment for secret {', '.join(missing)}")
    return Secrets({name: Secret(environ[variable]) for name, variable in variables.items()})
