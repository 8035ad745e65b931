"""What a Python journey says of one request beside where it goes and what it carries, and what becomes of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from loadgate.api.grammar.amounts import parse_duration
from loadgate.api.grammar.errors import GrammarError
from loadgate_runner.http import Timeouts

from .errors import ValueFault

if TYPE_CHECKING:
    from loadgate_runner.http import Options

Seconds = str | float
"""A duration (`5s`), or seconds."""
Timeout = Seconds | Mapping[str, Seconds]
"""Of the whole, or of its parts: `connect`, `tls`, `first_byte` and `total`."""
Auth = str | tuple[str, str] | Literal[False] | None
"""A bearer token, or a user and password; False: none at all; None: as the target has it."""

_PARTS: Final = frozenset({"connect", "tls", "first_byte", "total"})
_MOST_REDIRECTS: Final = 50


class Terms(NamedTuple):
    """The parts of `user.request` that have a default, as they are given."""

    headers: Mapping[str, str] | None = None
    query: Mapping[str, Any] | None = None
    auth: Auth = None
    timeout: Timeout | None = None
    host: str | None = None
    max_redirects: int | None = None
    compressed: bool = True
    expect_continue: Seconds | None = None
    trailers: bool = False


class Settings(NamedTuple):
    """What of the terms is the same for all requests of one shape; it is part of a key."""

    timeout: Seconds | tuple[tuple[str, Seconds], ...] | None = None
    host: str | None = None
    max_redirects: int | None = None
    compressed: bool = True
    patience: Seconds | None = None
    trailers: bool = False

    @classmethod
    def of(cls, terms: Terms) -> Settings:
        """Those of some terms."""
        timeout = terms.timeout
        parts = tuple(sorted(timeout.items())) if isinstance(timeout, Mapping) else timeout
        return cls(
            parts, terms.host, terms.max_redirects, terms.compressed, terms.expect_continue, terms.trailers
        )  # fmt: skip

    def applied(self, options: Options) -> Options:
        """The target's options with what is said here in their place. Raises ValueFault."""
        redirects = options.max_redirects if self.max_redirects is None else self.max_redirects
        if not (isinstance(redirects, int) and 0 <= redirects <= _MOST_REDIRECTS):
            raise ValueFault(f"max_redirects is a whole number up to {_MOST_REDIRECTS}, not {redirects!r}")
        return replace(
            options,
            timeouts=options.timeouts if self.timeout is None else _timeouts(self.timeout, options.timeouts),
            host=options.host if self.host is None else _host(self.host),
            max_redirects=redirects,
            compressed=self.compressed and options.compressed,
        )

    def waits(self) -> float:
        """For how many seconds a body waits to be asked for; 0: it doesn't. Raises ValueFault."""
        if self.patience is None:
            return 0
        seconds = seconds_of(self.patience)
        if seconds <= 0:
            raise ValueFault("expect_continue: a body waits for more than 0 seconds")
        return seconds


def seconds_of(given: Seconds) -> float:
    """A duration, or seconds, in seconds. Raises ValueFault."""
    try:
        return parse_duration(given) if isinstance(given, str) else float(given)
    except GrammarError as error:
        raise ValueFault(error.message) from error


def _timeouts(given: Seconds | tuple[tuple[str, Seconds], ...], others: Timeouts) -> Timeouts:
    """Limits with those that are given in the place of the others; none is longer than the total."""
    parts = dict(given) if isinstance(given, tuple) else {"total": given}
    if unknown := parts.keys() - _PARTS:
        raise ValueFault(f"timeout has no part {min(unknown)!r}: it has {', '.join(sorted(_PARTS))}")
    found = {name: seconds_of(value) for name, value in parts.items()}
    total = found.get("total", others.total)
    return Timeouts(
        min(found.get("connect", others.connect), total),
        min(found.get("tls", others.tls), total),
        min(found.get("first_byte", others.first_byte), total),
        total,
    )


def _host(given: str) -> str:
    """A name, and perhaps a port: no text that would end the header's line."""
    if not given or not given.isascii() or not given.isprintable() or " " in given:
        raise ValueFault(f"host: {given[:64]!r} is no host")
    return given
