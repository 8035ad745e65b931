"""Asking an authorisation server for a token (RFC 6749): one request, and all that can be wrong with its answer.

A library would bring an HTTP client of its own, past the rules on where connections may go; what is asked for is one
form in a POST.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadgate_runner.http.auth import basic
from loadgate_runner.http.bodies import FORM
from loadgate_runner.http.client import Client
from loadgate_runner.http.failures import Failure
from loadgate_runner.http.request import prepare
from loadgate_runner.http.settings import Timeouts
from loadgate_runner.http.urls import encode_component, encode_query, locate

if TYPE_CHECKING:
    from loadgate_runner.http.network import Network
    from loadgate_runner.http.response import Response
    from loadgate_runner.http.settings import Options

PATIENCE: Final = 10.0
"""Seconds that the server may take to answer."""

LONGEST_LIFE: Final = 10 * 365 * 86_400
"""Seconds; a token that is said to live longer is taken to live so long."""

_LONGEST_TOKEN: Final = 32_768
_LONGEST_WORD: Final = 200
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_REFUSALS: Final = frozenset({400, 401, 403})
"""Answers that won't be others for asking again (RFC 6749, 5.2)."""


class TokenError(Exception):
    """No token came, and why; `final` where asking again is no use."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token is asked for with. `refresh` makes it the refresh of a token (RFC 6749, 6)."""

    url: str
    client: str
    secret: str = field(default="", repr=False)
    in_body: bool = False
    """Whether id and secret stand in the form rather than in `Authorization` (2.3.1)."""
    refresh: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ()
    audience: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, how many seconds it lives from when it was asked for (None: nobody says), and what renews it."""

    value: str = field(repr=False)
    life: float | None = None
    refresh: str = field(default="", repr=False)


class TokenEndpoint:
    """Asks one server. What it sends is no traffic of the test, and isn't measured.

    Of the target's options those hold that are about the network and about whom to trust.
    """

    def __init__(self, network: Network, options: Options) -> None:
        self._client = Client(network)
        timeouts = Timeouts(PATIENCE, PATIENCE, PATIENCE, PATIENCE)
        tls = options.tls._replace(cert=None, key=None, server_name=None)
        self._options = replace(options, timeouts=timeouts, tls=tls, host=None, max_redirects=0, keeping=None)

    async def ask(self, grant: Grant) -> Token:
        """Get a token. Raises TokenError, whose message has none of what was sent."""
        origin, path = locate(grant.url)
        where = origin.url(path.partition(b"?")[0])
        headers = [("Accept", "application/json")]
        if grant.secret and not grant.in_body:
            user, password = (encode_component(text).decode("ascii") for text in (grant.client, grant.secret))
            headers.append(("Authorization", basic(user, password)))
        request = prepare(
            "POST",
            origin,
            path,
            headers=headers,
            content_type=FORM,
            body=encode_query(_form(grant)),
            options=self._options,
            needs_body=True,
        )
        try:
            response = await self._client.send(request)
        finally:
            self._client.reset()
        return _read(response, where)


def _form(grant: Grant) -> list[tuple[str, str]]:
    fields = {
        "grant_type": "refresh_token" if grant.refresh else "client_credentials",
        "refresh_token": grant.refresh,
        "scope": " ".join(grant.scopes),
        "audience": grant.audience,
    }
    if grant.in_body or not grant.secret:
        fields |= {"client_id": grant.client, "client_secret": grant.secret}
    return [(name, value) for name, value in fields.items() if value]


def _read(response: Response, where: str) -> Token:
    if response.error is not None:
        raise TokenError(f"{where}: {response.message}", final=response.error is Failure.DENIED)
    document = _document(response.body)
    if response.status != 200:
        said = _said(document)
        message = f"{where} answered {response.status}{f' ({said})' if said else ''}"
        raise TokenError(message, final=response.status in _REFUSALS)
    value = document.get("access_token")
    if not isinstance(value, str) or len(value) > _LONGEST_TOKEN or not _TOKEN.fullmatch(value):
        raise TokenError(f"{where} answered 200 without an access_token that a header can carry", final=True)
    kind = document.get("token_type")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenError(
            f"{where} gave a token of the type {str(kind)[:40]!r}; only bearer tokens are sent", final=True
        )
    refresh = document.get("refresh_token")
    if not isinstance(refresh, str) or len(refresh) > _LONGEST_TOKEN:
        refresh = ""
    return Token(value, _life(document.get("expires_in")), refresh)


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _said(document: dict[str, Any]) -> str:
    """What the server says is wrong: its `error` and the description (5.2), as far as a log should have it."""
    words = [document.get(name) for name in ("error", "error_description")]
    text = ": ".join(word for word in words if isinstance(word, str) and word)
    return "".join(sign if sign.isprintable() else " " for sign in text)[:_LONGEST_WORD]


def _life(expires_in: Any) -> float | None:
    """Seconds; some servers write the number as a text. What is no number says nothing."""
    if isinstance(expires_in, str) and expires_in.isascii() and expires_in.isdigit():
        expires_in = int(expires_in[:12])
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float) or not expires_in >= 0:
        return None
    return float(min(expires_in, LONGEST_LIFE))
