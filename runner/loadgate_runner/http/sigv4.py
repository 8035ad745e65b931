"""AWS Signature Version 4: a request signed with a secret key, over its method, path, query, headers and body. Pure.

The facts are those of "Create a signed AWS API request" in AWS's IAM User Guide, and of "Authenticating Requests: Using
the Authorization Header" in S3's reference. A library would want to build the request itself.
"""

from __future__ import annotations

import hmac
import re
import time
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

from loadgate.api.auth import HASHED_PAYLOADS
from loadgate_runner.http.content import Content

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate_runner.http.urls import Origin

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_END: Final = "aws4_request"
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_EMPTY: Final = sha256(b"").hexdigest()
_PLAIN_PATHS: Final = frozenset({"s3", "s3express", "s3-object-lambda", "s3-outposts"})
"""Services that sign a path as it is sent; all others sign it encoded once more, and without dot segments."""
_SIGNED: Final = frozenset({"content-md5", "content-type", "date", "range"})
"""Beside `Host` and all of AWS's own: headers that tell what is asked for, and that nobody changes on the way."""
_BLANKS: Final = re.compile(r"[ \t]+")
_MOST_KEPT: Final = 1_024


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whose requests they are. `token` is that of temporary credentials, empty for lasting ones."""

    key_id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


class SigV4:
    """Signs requests to one origin. `now` gives seconds since 1970; AWS takes requests that are at most minutes old.

    The signing key holds for a day and is derived once for it; where the time comes from is read for each request.
    """

    def __init__(  # noqa: PLR0913 - what a signature is over
        self,
        origin: Origin,
        credentials: Credentials,
        *,
        region: str,
        service: str,
        now: Callable[[], float],
        unsigned_body: bool = False,
    ) -> None:
        self.origin = origin
        self.answers = False
        """Nobody is asked who they are: each request says so by itself."""
        self._credentials = credentials
        self._region = region
        self._service = service
        self._now = now
        self._unsigned = unsigned_body
        self._tells = unsigned_body or service in HASHED_PAYLOADS
        self._once = service in _PLAIN_PATHS
        self._second = -1
        self._day = self._stamp = self._scope = ""
        self._key = b""

    def sign(
        self, method: str, host: str, path: bytes, headers: bytes, body: bytes | Content | None
    ) -> tuple[bytes, bytes]:
        """Return the path in the encoding that is signed, and the header lines that sign the request."""
        second = int(self._now())
        if second != self._second:
            self._set_time(second)
        sent, path_signed, query_signed = spelled(path, once=self._once)
        body_hash = _UNSIGNED if self._unsigned else _hash(body)
        own = self._own_headers(body_hash)
        signed = sorted([("host", host), *own, *signed_headers(headers)])
        names = ";".join([name for name, _ in signed])
        lines = "".join([f"{name}:{value}\n" for name, value in signed])
        canonical = f"{method}\n{path_signed}\n{query_signed}\n{lines}\n{names}\n{body_hash}"
        digest = sha256(canonical.encode("utf-8", "replace")).hexdigest()
        signature = hmac.new(self._key, f"{_ALGORITHM}\n{self._stamp}\n{self._scope}\n{digest}".encode(), sha256)
        who = f"Credential={self._credentials.key_id}/{self._scope}, SignedHeaders={names}"
        authorization = f"Authorization: {_ALGORITHM} {who}, Signature={signature.hexdigest()}\r\n"
        return sent, ("".join([f"{name}: {value}\r\n" for name, value in own]) + authorization).encode()

    def challenged(self, head: bytes, wire: bytes) -> bool:  # noqa: ARG002 - the port's
        """A refusal is final."""
        return False

    def _own_headers(self, body_hash: str) -> list[tuple[str, str]]:
        own = [("x-amz-date", self._stamp)]
        if self._tells:
            own.append(("x-amz-content-sha256", body_hash))
        if self._credentials.token:
            own.append(("x-amz-security-token", self._credentials.token))
        return own

    def _set_time(self, second: int) -> None:
        self._second = second
        self._stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        day = self._stamp[:8]
        if day != self._day:
            self._day = day
            self._scope = f"{day}/{self._region}/{self._service}/{_END}"
            self._key = signing_key(self._credentials.secret, day, self._region, self._service)


def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """The key of a day (`20150830`), a region and a service."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, _END):
        key = hmac.new(key, part.encode(), sha256).digest()
    return key


@lru_cache(maxsize=_MOST_KEPT)
def spelled(path: bytes, *, once: bool) -> tuple[bytes, str, str]:
    """A path with its query as it is sent, and both as they are signed.

    It is sent with everything encoded but letters, digits and `-._~`, and a space as `%20`: what may be written in two
    ways is read in two ways, and a server that reads another one finds another signature.
    """
    before, mark, query = path.partition(b"?")
    sent = "/".join([_encoded(segment) for segment in before.split(b"/")])
    pairs = [pair.partition(b"=") for pair in query.replace(b"+", b"%20").split(b"&") if pair]
    fields = [(_encoded(name), sign.decode(), _encoded(value)) for name, sign, value in pairs]
    query_sent = "&".join(["".join(each) for each in fields])
    query_signed = "&".join([f"{name}={value}" for name, value in sorted((name, value) for name, _, value in fields)])
    path_signed = sent if once else quote(_without_dots(sent), safe="/~")
    return f"{sent}{'?' if mark else ''}{query_sent}".encode(), path_signed, query_signed


@lru_cache(maxsize=_MOST_KEPT)
def signed_headers(headers: bytes) -> tuple[tuple[str, str], ...]:
    """Of whole header lines those that are signed: names in lower case, one value for each, blanks folded."""
    found: dict[str, str] = {}
    for line in headers.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), _BLANKS.sub(" ", value.strip())
        if name in _SIGNED or name.startswith("x-amz-"):
            found[name] = f"{found[name]},{value}" if name in found else value
    return tuple(found.items())


def _hash(body: bytes | Content | None) -> str:
    if isinstance(body, Content):
        return body.digest
    return sha256(body).hexdigest() if body else _EMPTY


def _encoded(part: bytes) -> str:
    return quote(unquote_to_bytes(part), safe="-._~")


def _without_dots(path: str) -> str:
    """A path without empty and dot segments, as AWS's own signers have it; its last slash stays."""
    found: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del found[-1:]
        elif segment not in {"", "."}:
            found.append(segment)
    end = "/" if found and path.endswith("/") else ""
    return f"/{'/'.join(found)}{end}"
