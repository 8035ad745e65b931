"""`--secret`: values for a test's secrets that needn't stand in a manifest nor in the shell's history."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loadgate.api.faults import Fault, InvalidSpec
from loadgate.plan import secret_env

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*")
_MOST = 1 << 20


@dataclass(frozen=True)
class Credential:
    """A secret's name in `spec.secrets` and its value, which never shows in any output."""

    name: str
    value: str = field(repr=False)


def parse_all(arguments: Iterable[str], environment: Mapping[str, str] = os.environ) -> dict[str, Credential]:
    """Read all arguments; raises InvalidSpec with all faults."""
    faults: list[Fault] = []
    found: dict[str, Credential] = {}
    for argument in arguments:
        try:
            credential = parse(argument, environment)
            found[credential.name] = credential
        except InvalidSpec as error:
            faults += error.faults
    if faults:
        raise InvalidSpec(faults)
    return found


def parse(argument: str, environment: Mapping[str, str]) -> Credential:
    """Read `name=value`, `name=@file`, or `name` (from the environment, as runners have it)."""
    name, equals, value = argument.partition("=")
    if not _NAME.fullmatch(name):
        raise _invalid("", "the name of a secret is missing", "write --secret name=value, name=@file, or name")
    if not equals:
        return Credential(name, _from_environment(name, environment))
    if value.startswith("@"):
        return Credential(name, _from_file(name, Path(value[1:])))
    return Credential(name, value)


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    variable = secret_env(name)
    value = environment.get(variable)
    if value is None:
        raise _invalid(name, f"the environment has no {variable}", f"set it, or write --secret {name}=@file")
    return value


def _from_file(name: str, path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MOST + 1)
        if len(data) > _MOST:
            raise _invalid(name, f"{path} holds more than 1 MiB")
        return data.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise _invalid(name, f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _invalid(name, f"{path} is not UTF-8 text") from error


def _invalid(name: str, message: str, hint: str = "") -> InvalidSpec:
    return InvalidSpec([Fault(path=name, message=message, hint=hint, file="--secret")])
