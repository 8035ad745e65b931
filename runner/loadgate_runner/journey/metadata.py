"""What goes with a gRPC call beside its message: entries that are known, and those that are made each time."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

from loadgate_runner.http import basic

from .errors import JourneyError, ValueFault
from .requests import tokens_of, tracing_of
from .templates import compile_text, fold, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from loadgate.api.steps import GRPC

    from .ports import Bearer
    from .scope import Scope
    from .state import State
    from .target import Target
    from .tracing import Tracing
    from .workshop import Workshop

_NOT_SENT: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
"""Headers of the target that are HTTP's own, or grpc's to send."""

Entries = tuple[tuple[str, str | bytes], ...]


class Metadata:
    """One call's, or that of all calls of one shape."""

    def __init__(
        self, given: Mapping[str, str], scope: Scope, tracing: Tracing | None = None, tokens: Bearer | None = None
    ) -> None:
        """Values may hold templates. Raises JourneyError where one that is known can't be sent."""
        known: list[tuple[str, str | bytes]] = []
        self._changing: list[tuple[str, Callable[[State], str]]] = []
        for name, value in given.items():
            template = parse(value)
            make = compile_text(template, scope)
            if any(callable(part) for part in fold(template, scope)):
                self._changing.append((name, make))
            else:
                known.append((name, _known_value(name, make)))
        self._known: Entries = tuple(known)
        self._tracing = tracing
        self._tokens = tokens

    @classmethod
    def of_call(cls, call: GRPC, shop: Workshop) -> Metadata:
        """That of a step."""
        made = cls(_given(call, shop.target), shop.scope, tracing_of(call, shop), tokens_of(call, shop))
        if call.auth is not None and call.auth.basic is not None:
            made._add_basic(call.auth.basic.username, call.auth.basic.password, shop.scope)
        return made

    @property
    def known(self) -> Entries:
        """The part that is the same for all virtual users now."""
        return self._known if self._tokens is None else (*self._known, _entry(self._tokens.line))

    def of(self, state: State) -> Entries:
        """All of it. Raises ValueFault where a value can't be sent."""
        if self._tracing is not None and (line := self._tracing.line(state)):
            return (*self.known, _entry(line), *self._made(state))
        return (*self.known, *self._made(state)) if self._changing else self.known

    def _made(self, state: State) -> Iterator[tuple[str, str | bytes]]:
        return ((name, sendable(name, make(state))) for name, make in self._changing)

    def _add_basic(self, username: str, password: str, scope: Scope) -> None:
        make_user, make_password = compile_text(parse(username), scope), compile_text(parse(password), scope)
        self._changing.append(("authorization", lambda state: basic(make_user(state), make_password(state))))


def of_target(target: Target) -> dict[str, str]:
    """The target's headers as metadata: without those that are HTTP's own, or grpc's to send."""
    return {name.lower(): value for name, value in target.headers.items() if name.lower() not in _NOT_SENT}


def sendable(name: str, text: str) -> str | bytes:
    """A value as grpc takes it: printable ASCII, or bytes under a name that ends so. Raises ValueFault."""
    if name.endswith("-bin"):
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError) as fault:
            raise ValueFault(f"metadata {name!r}: what such a name has is base64") from fault
    if not (text.isascii() and text.isprintable()):
        raise ValueFault(f"metadata {name!r}: only printable ASCII can be sent; {name}-bin takes the rest as base64")
    return text


def _entry(line: bytes) -> tuple[str, str]:
    """A header's line as an entry."""
    name, _, value = line.decode("ascii", "replace").strip().partition(": ")
    return name.lower(), value


def _given(call: GRPC, target: Target) -> dict[str, str]:
    """A call's own entry wins over the target's header of the same name, `auth` over both."""
    given = of_target(target)
    given |= {name.lower(): value for name, value in call.headers.items()}
    if call.auth is not None:
        given.pop("authorization", None)
    if call.auth is not None and call.auth.bearer is not None:
        given["authorization"] = f"Bearer {call.auth.bearer}"
    return given


def _known_value(name: str, make: Callable[[State], str]) -> str | bytes:
    try:
        return sendable(name, make(_NOBODY))
    except ValueFault as fault:
        raise JourneyError(str(fault)) from fault


_NOBODY: Any = None
"""Whose text is the same for every virtual user."""
