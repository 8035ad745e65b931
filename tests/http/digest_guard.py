"""A server's side of digest authentication, which takes what httpx would have sent; and what it counts."""

import re
from collections import Counter
from dataclasses import dataclass, field

import httpx
from http_peers import read_request

USER, PASSWORD = "Mufasa", "Circle of Life"


class _Told(httpx.DigestAuth):
    """httpx's, with the client's nonce and the count of the request that is looked at."""

    def __init__(self, password, count, cnonce):
        super().__init__(USER, password)
        self.count, self.cnonce = count, cnonce

    def _get_client_nonce(self, nonce_count, nonce):
        return self.cnonce.encode()

    def _build_auth_header(self, request, challenge):
        self._nonce_count = self.count
        return super()._build_auth_header(request, challenge)


def fields_of(header):
    """The fields of an `Authorization` or a challenge."""
    found = re.findall(r'([\w*-]+)=(?:"([^"]*)"|([^,\s]*))', header)
    return {name: quoted or bare for name, quoted, bare in found}


def expected(method, url, challenge, given, password=PASSWORD):
    """The response that httpx comes to."""
    auth = _Told(password, int(given.get("nc", "1"), 16), given.get("cnonce", ""))
    flow = auth.sync_auth_flow(httpx.Request(method, url))
    request = next(flow)
    again = flow.send(httpx.Response(401, headers={"www-authenticate": challenge}, request=request))
    return fields_of(again.headers["authorization"])["response"]


@dataclass
class Guard:
    """Answers 401 with a nonce to whom it doesn't know, and 200 else. A nonce is good for `uses` requests.

    `seen` is what came of each request: `new` (it had no credentials), `stale`, `wrong`, or `ok`.
    """

    algorithm: str = "SHA-256"
    uses: int = 1_000_000
    qop: str = 'qop="auth, auth-int", '
    more: str = ""
    flags: bool = True
    fresh: bool = True
    """Whether each challenge has a nonce of its own."""
    password: str = PASSWORD
    reply: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    seen: list[str] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    made: int = 0

    def challenge(self, nonce):
        """A challenge with a nonce."""
        return f'Digest realm="http-auth@example.org", {self.qop}nonce="{nonce}", opaque="o+/=", {self.more}algorithm={self.algorithm}'

    def judge(self, method, path, authorization):
        """What a request is."""
        if authorization is None:
            return "new"
        given = fields_of(authorization)
        known = self.counts.get(given["nonce"])
        if given.get("uri") != path or known is None:
            return "wrong"
        url = f"http://127.0.0.1{path}"
        if given["response"] != expected(method, url, self.challenge(given["nonce"]), given, self.password):
            return "wrong"
        if len(known) >= self.uses:
            return "stale"
        known.append(int(given.get("nc", "1"), 16))
        return "ok"

    async def __call__(self, peer, reader, writer):
        """One connection."""
        while request := await read_request(reader):
            peer.requests.append(request)
            method, path = request.decode().split(" ")[:2]
            found = re.search(rb"\r\nAuthorization: ([^\r]*)\r\n", request)
            what = self.judge(method, path, found and found[1].decode())
            self.seen.append(what)
            writer.write(self.reply if what == "ok" else self.refusal(what))
            await writer.drain()
        writer.transport.abort()

    def refusal(self, what):
        """A 401 with the next nonce."""
        self.made += self.fresh or not self.made
        nonce = f"nonce-{self.made}"
        self.counts.setdefault(nonce, [])
        stale = ", stale=true" if what == "stale" and self.flags else ""
        head = f"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {self.challenge(nonce)}{stale}\r\nContent-Length: 0\r\n\r\n"
        return head.encode()

    @property
    def repeated(self):
        """Counts that came more than once for a nonce."""
        return {
            nonce: count for nonce, seen in self.counts.items() for count, often in Counter(seen).items() if often > 1
        }
