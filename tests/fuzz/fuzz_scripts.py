"""What a hostile target does: bytes, how they are cut, and how it ends. From well-formed answers to garbage. Pure."""

import gzip
import itertools
import zlib
from dataclasses import dataclass, replace

import brotli
import zstandard
from hypothesis import strategies as st


@dataclass(frozen=True)
class Meant:
    """What a well-formed answer says, by construction."""

    status: int
    body: bytes
    fields: tuple[tuple[str, str], ...]
    """The headers that are there to be read."""
    unbounded: bool
    """Whether only the connection's end ends it."""


@dataclass(frozen=True)
class Script:
    """What a server does once it has read the request `method /script`."""

    method: str
    needs: str
    """What is asked of the answer: "nothing", "headers" or "body"."""
    warm: bool
    """Whether an ordinary answer to the same request came before, on the same connection."""
    said: bytes
    cuts: tuple[int, ...]
    """Where `said` is cut into pieces that arrive one after another."""
    end: str
    """Then: "stay" (read on, answer the next request), "close", "reset", or "stall" (do nothing any more)."""
    meant: Meant | None = None
    raw: bytes = b""
    """Over TLS: bytes behind the pieces that aren't records of the session."""

    @property
    def pieces(self):
        """What arrives, piece by piece."""
        edges = [0, *sorted({cut % (len(self.said) or 1) for cut in self.cuts} - {0}), len(self.said)]
        return [self.said[a:b] for a, b in itertools.pairwise(edges) if a < b]


METHODS = st.sampled_from(["GET", "GET", "GET", "POST", "HEAD"])
NEEDS = st.sampled_from(["nothing", "headers", "body", "body"])
ENDS = st.sampled_from(["stay", "stay", "close", "close", "reset", "stall"])
CUTS = st.lists(st.integers(1, 1 << 16), max_size=6).map(tuple)

_PACKERS = {
    "gzip": lambda data: gzip.compress(data, 1),
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=1),
    "zstd": zstandard.compress,
}
_INTERIM = st.sampled_from([
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-A: early\r\n\r\n",
    b"HTTP/1.1 102 \r\n\r\n",
])  # fmt: skip
_NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~", min_size=1, max_size=12).map(lambda t: "x-" + t)
_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40).map(str.strip)
_COOKIES = st.one_of(
    st.sampled_from(["a=b; Max-Age=" + "9" * 400, "a=b; Expires=Wed, 99 Foo 99999 99:99:99 GMT", "a=b; Path=/\t; Domain=.", "=;=;"]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40).map(lambda t: t.strip(" ")),
    st.builds("a={}; {}={}".format, _VALUES, st.sampled_from(["Max-Age", "Expires", "Domain", "Path", "Secure"]), _VALUES),
)  # fmt: skip


@st.composite
def _codings(draw, body):
    """A body as it is sent, and what `Content-Encoding` says of it."""
    names = draw(st.lists(st.sampled_from(sorted(_PACKERS)), max_size=2)) if body else []
    for name in names:
        body = _PACKERS[name](body)
    return names, body


@st.composite
def _chunked(draw, data):
    """A body in chunks, with what a chunk may have besides."""
    wire, at = b"", 0
    while at < len(data):
        size = draw(st.integers(1, len(data) - at))
        digits = draw(st.sampled_from([b"%x", b"%X", b"000%x"])) % size
        wire += digits + draw(st.sampled_from([b"", b"", b";a", b";a=1", b';a="b;c"']))
        wire += b"\r\n" + data[at : at + size] + b"\r\n"
        at += size
    return wire + b"0\r\n" + draw(st.sampled_from([b"", b"", b"X-Sum: 1\r\n", b"X-Sum: 1\r\nX-Time:\r\n"])) + b"\r\n"


@st.composite
def well_formed(draw, method):
    """The bytes of an answer to `method`, and what they mean."""
    status = draw(st.sampled_from([200, 200, 200, 201, 204, 304, 404, 500, 599]))
    body = draw(st.binary(max_size=300))
    names, sent = draw(_codings(body))
    bodiless = method == "HEAD" or status in {204, 304}
    framing = "none" if bodiless else draw(st.sampled_from(["length", "chunked", "connection"]))
    version = b"HTTP/1.1" if framing == "chunked" else draw(st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"]))
    fields = [
        *draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=4)),
        *(("set-cookie", c) for c in draw(st.lists(_COOKIES, max_size=2))),
    ]
    lines = [f"{name}:{draw(st.sampled_from(['', ' ', '  ']))}{value}".encode("latin-1") for name, value in fields]
    if names:
        lines.append(b"Content-Encoding: " + ", ".join(names).encode())
    connection = draw(st.sampled_from([b"", b"", b"close", b"keep-alive", b"Keep-Alive, X"]))
    if connection:
        lines.append(b"Connection: " + connection)
    if framing == "chunked":
        lines.append(draw(st.sampled_from([b"Transfer-Encoding: chunked", b"transfer-encoding:Chunked"])))
        sent = draw(_chunked(sent))
    elif framing == "length" or (framing == "none" and status != 204 and draw(st.booleans())):
        lines.append(b"Content-Length: %d" % len(sent))
    lines = draw(st.permutations(lines))
    interim = b"".join(draw(st.lists(_INTERIM, max_size=2))) if version == b"HTTP/1.1" else b""
    reason = draw(st.sampled_from([b"OK", b"", b"Not \xe4 thing"]))
    wire = interim + b"%s %d %s\r\n" % (version, status, reason) + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    if bodiless:
        return wire, Meant(status, b"", tuple(fields), unbounded=False)
    return wire + sent, Meant(status, body, tuple(fields), unbounded=framing == "connection")


_FRAGMENTS = st.sampled_from([
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"0\r\n\r\n", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/2 200\r\n\r\n",
    b"Content-Length: 3\r\n", b"Content-Length: -1\r\n", b"Content-Length: 18446744073709551616\r\n", b"Content-Length: 5, 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n",
    b"ffffffffffffffff\r\n", b"fffffffffffffffff\r\n", b"7fffffff\r\n", b"-1\r\n", b"0x5\r\n", b"5 \r\n", b";" * 40,
    b"Content-Encoding: gzip\r\n", b"Content-Encoding: br, br, br, br\r\n", b"Set-Cookie: a=b\r\n", b"Connection: close\r\n",
    b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 099 \r\n\r\n", b"HTTP/1.1 1000 \r\n\r\n", b" folded\r\n", b"X: " + b"y" * 3000 + b"\r\n", b"X\r\n" * 50, b"X: y\r\n" * 400,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
])  # fmt: skip
_NOISE = st.one_of(_FRAGMENTS, st.binary(min_size=1, max_size=8))


@st.composite
def _mutated(draw, wire):
    """Something done to the bytes: cut short, put in, left out, put in another's place, said twice, put behind."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(wire)))
        to = min(len(wire), at + draw(st.integers(0, 20)))
        noise = draw(_NOISE)
        wire = draw(st.sampled_from([
            wire[:at], wire[:at] + noise + wire[at:], wire[:at] + wire[to:], wire[:at] + noise + wire[to:],
            wire[:to] + wire[at:], wire + noise,
        ]))  # fmt: skip
    return wire


@st.composite
def scripts(draw):
    """Any of it."""
    method = draw(METHODS)
    kind = draw(st.sampled_from(["well-formed", "mutated", "mutated", "mutated", "fragments", "binary"]))
    meant = None
    if kind == "binary":
        wire = draw(st.binary(max_size=200))
    elif kind == "fragments":
        wire = b"".join(draw(st.lists(_NOISE, max_size=12)))
    else:
        wire, meant = draw(well_formed(method))
        if kind == "mutated":
            wire, meant = draw(_mutated(wire)), None
    return Script(method, draw(NEEDS), draw(st.booleans()), wire, draw(CUTS), draw(ENDS), meant)


RAW = st.one_of(
    st.sampled_from([
        b"\x15\x03\x03\x00\x02\x02\x28", b"\x15\x03\x03\x00\x02\x01\x00", b"\x15\x03\x03\xff\xff", b"\x17\x03\x03\x00\x00",
        b"\x16\x03\x03\x00\x04\x00\x00\x00\x00", b"\x14\x03\x03\x00\x01\x01", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x17\x03\x03\x40\x00" + bytes(100),
    ]),
    st.binary(min_size=1, max_size=60),
)  # fmt: skip


def swallows(raw):
    """Whether such bytes begin a record that is never whole: what is sent behind them is a part of it, and isn't seen."""
    while len(raw) >= 5 and len(raw) >= 5 + (size := int.from_bytes(raw[3:5], "big")):
        raw = raw[5 + size :]
    return len(raw) >= 5 and raw[:3] == b"\x17\x03\x03" and size <= 16_640


@st.composite
def tls_scripts(draw):
    """The same within a TLS session, with alerts and bytes in it that are no records of the session."""
    script = draw(scripts())
    raw = draw(st.one_of(st.just(b""), RAW))
    return replace(script, raw=raw, end=draw(st.sampled_from(["stay", "close", "reset"])))
