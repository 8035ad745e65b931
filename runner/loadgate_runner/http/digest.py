"""Digest authentication (RFC 7616): a server's challenge, kept and shared by all VUs of a process, and its answers.

There is one challenge at a time, and a count of the requests that went out with it. Pure but for that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from loadgate_runner.http.headers import END, Headers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from loadgate_runner.http.content import Content
    from loadgate_runner.http.urls import Origin

_SESSION: Final = "-sess"
_PARTS: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*(=)[ \t]*(?:\"((?:[^\"\\]|\\.?)*)\"?|([^\s,\"]*)))?")
"""Names, with what stands behind their `=` in quotes or without. Nothing in it has to be tried twice."""
_LONGEST: Final = 2_048
"""Of what a challenge says, and each request repeats; a longer one isn't answered."""


def _md5(text: str) -> str:
    return md5(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def _sha256(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()


_HASHES: Final = {"md5": _md5, "sha-256": _sha256}


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for (3.3). Texts are as they stand between quotes: so they are hashed and repeated."""

    realm: str
    nonce: str
    opaque: str | None
    algorithm: str | None
    """As the server writes it; None: MD5, unsaid."""
    counts: bool
    """Whether requests are counted (`qop=auth`); RFC 2069's servers don't ask for that."""
    hides_user: bool

    def hashed(self, text: str) -> str:
        """The hash of a text, in hexadecimal."""
        return _HASHES[(self.algorithm or "md5").lower().removesuffix(_SESSION)](text)

    @property
    def of_session(self) -> bool:
        """Whether the first nonces go into what stands for the password."""
        return (self.algorithm or "").lower().endswith(_SESSION)


def challenge_of(head: bytes) -> Challenge | None:
    """The first challenge of an answer that can be answered, as the server prefers it (3.7)."""
    for value in Headers(head).all("www-authenticate"):
        if len(value) > _LONGEST:
            continue
        for scheme, fields in _schemes(value):
            if scheme == "digest" and (found := _read(fields)) is not None:
                return found
    return None


class Digest:
    """Signs requests to one origin, once a challenge is there. `chance` makes the client's nonces."""

    def __init__(self, origin: Origin, username: str, password: str, chance: Random) -> None:
        self.origin = origin
        self.answers = True
        self._username = username
        self._password = password
        self._chance = chance
        self._challenge: Challenge | None = None
        self._count = 0
        self._cnonce = self._secret = self._start = ""

    def sign(
        self,
        method: str,
        host: str,  # noqa: ARG002 - the port's
        path: bytes,
        headers: bytes,  # noqa: ARG002
        body: bytes | Content | None,  # noqa: ARG002
    ) -> tuple[bytes, bytes]:
        """Return the path, and the header line: none before the first challenge."""
        challenge = self._challenge
        if challenge is None:
            return path, b""
        uri = path.decode("ascii", "replace")
        what = challenge.hashed(f"{method}:{uri}")
        if not challenge.counts:
            proof = challenge.hashed(f"{self._secret}:{challenge.nonce}:{what}")
            return path, f'{self._start}, uri="{uri}", response="{proof}"\r\n'.encode()
        self._count += 1
        count = f"{self._count:08x}"
        proof = challenge.hashed(f"{self._secret}:{challenge.nonce}:{count}:{self._cnonce}:auth:{what}")
        return path, f'{self._start}, uri="{uri}", nc={count}, response="{proof}"\r\n'.encode()

    def challenged(self, head: bytes, wire: bytes) -> bool:
        """Take a 401's challenge; say whether the request, which was sent as `wire`, would now be signed otherwise.

        Where it was sent with the nonce that is asked for, its credentials are wrong. Where another VU has a new nonce
        meanwhile, that one will do.
        """
        found = challenge_of(head)
        if found is None or _has_nonce(wire, found.nonce):
            return False
        if self._challenge is None or _has_nonce(wire, self._challenge.nonce):
            self._take(found)
        return True

    def _take(self, challenge: Challenge) -> None:
        self._challenge = challenge
        self._count = 0
        self._cnonce = f"{self._chance.getrandbits(128):032x}"
        known = f"{self._username}:{challenge.realm}"
        self._secret = challenge.hashed(f"{known}:{self._password}")
        if challenge.of_session:
            self._secret = challenge.hashed(f"{self._secret}:{challenge.nonce}:{self._cnonce}")
        self._start = ", ".join([f"Authorization: Digest {self._user(challenge)}", *self._fixed(challenge)])

    def _user(self, challenge: Challenge) -> str:
        """The name, hidden where the server takes that (3.4.4), in its own notation where it isn't ASCII (3.4)."""
        if challenge.hides_user:
            return f'username="{challenge.hashed(f"{self._username}:{challenge.realm}")}", userhash=true'
        if self._username.isascii():
            return 'username="' + self._username.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"username*=UTF-8''{quote(self._username, safe='')}"

    def _fixed(self, challenge: Challenge) -> Iterator[str]:
        yield f'realm="{challenge.realm}"'
        yield f'nonce="{challenge.nonce}"'
        if challenge.opaque is not None:
            yield f'opaque="{challenge.opaque}"'
        if challenge.algorithm is not None:
            yield f"algorithm={challenge.algorithm}"
        if challenge.counts:
            yield f'qop=auth, cnonce="{self._cnonce}"'


def _has_nonce(wire: bytes, nonce: str) -> bool:
    """Whether a request carries a nonce."""
    return f' nonce="{nonce}",'.encode() in wire.partition(END)[0]


def _schemes(value: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The challenges of one header, which may hold several (RFC 9110, 11.6.1)."""
    scheme, fields = "", dict[str, str]()
    for name, sign, quoted, bare in _PARTS.findall(value):
        if sign:
            fields[name.lower()] = quoted or bare
        else:
            yield scheme, fields
            scheme, fields = name.lower(), {}
    yield scheme, fields


def _read(fields: dict[str, str]) -> Challenge | None:
    """A challenge, where it can be answered. Sessions without counts can't: a server wouldn't see our nonce."""
    algorithm, nonce, counts = fields.get("algorithm"), fields.get("nonce"), "qop" in fields
    known = (algorithm or "md5").lower()
    if not nonce or known.removesuffix(_SESSION) not in _HASHES or (known.endswith(_SESSION) and not counts):
        return None
    if counts and "auth" not in [one.strip().lower() for one in fields["qop"].split(",")]:
        return None
    hides_user = fields.get("userhash", "").lower() == "true"
    return Challenge(fields.get("realm", ""), nonce, fields.get("opaque"), algorithm, counts, hides_user)
