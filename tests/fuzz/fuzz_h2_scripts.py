"""What a hostile peer of HTTP/2 does: frames for several streams, well-formed or not, how they are cut, how it ends. Pure."""

import itertools
import struct
from dataclasses import dataclass, replace

import hpack
from fuzz_h2_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITIZED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    literally,
)
from fuzz_scripts import RAW
from hypothesis import strategies as st


@dataclass(frozen=True)
class Meant:
    """What a well-formed answer says, by construction."""

    status: int
    body: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    trailers: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Script:
    """What a peer does once it has read a request on each of the streams."""

    methods: tuple[str, ...]
    """Of the requests, which are on one connection at once."""
    warm: bool
    """Whether each had an ordinary answer before, on the same connection."""
    settings: bytes
    """What the connection begins with."""
    said: bytes
    cuts: tuple[int, ...]
    end: str
    """Then: "stay" (read on, answer what comes), "close", "reset", or "stall" (do nothing any more)."""
    meant: tuple[Meant, ...] = ()
    """By request, where all is well-formed."""
    raw: bytes = b""
    """Over TLS: bytes behind the pieces that aren't records of the session."""

    @property
    def streams(self):
        """The streams that the requests are on."""
        first = 1 + 2 * len(self.methods) * self.warm
        return [first + 2 * slot for slot in range(len(self.methods))]

    @property
    def pieces(self):
        """What arrives, piece by piece."""
        edges = [0, *sorted({cut % (len(self.said) or 1) for cut in self.cuts} - {0}), len(self.said)]
        return [self.said[a:b] for a, b in itertools.pairwise(edges) if a < b]


_METHODS = st.lists(st.sampled_from(["GET", "GET", "POST", "HEAD"]), min_size=1, max_size=4).map(tuple)
_CUTS = st.lists(st.integers(1, 1 << 12), max_size=8).map(tuple)
_ENDS = st.sampled_from(["stay", "stay", "close", "reset", "stall"])
_NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=8).map(lambda t: b"x-" + t.encode())
_VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20).map(str.encode)
_FIELDS = st.lists(st.tuples(_NAMES, _VALUES), max_size=3).map(tuple)
_INTERIM = st.sampled_from([((b":status", b"100"),), ((b":status", b"103"), (b"link", b"</a.css>"))])


def _setting(code, value):
    return struct.pack(">HI", code, value)


_LEGAL_SETTINGS = st.lists(
    st.sampled_from([_setting(1, 0), _setting(1, 1 << 20), _setting(3, 100), _setting(4, 0), _setting(4, 1 << 20), _setting(5, 1 << 20), _setting(6, 9999), _setting(0x99, 1)]),
    max_size=3,
).map(b"".join)  # fmt: skip


@st.composite
def _answers(draw, method, lies):
    """An answer to `method` as steps of ("head", fields, last) and ("data", bytes, last), and what it means."""
    status = draw(st.sampled_from([200, 200, 200, 204, 304, 404, 500, 599]))
    bodiless = method == "HEAD" or status in {204, 304}
    body = b"" if bodiless else draw(st.binary(max_size=200))
    fields, trailers = draw(_FIELDS), () if bodiless else draw(st.one_of(st.just(()), _FIELDS))
    told = (len(body) if not bodiless else 7) + (draw(st.integers(0, 3)) if lies else 0)
    length = ((b"content-length", b"%d" % told),) if status != 204 and draw(st.booleans()) else ()
    steps = [("head", early, False) for early in draw(st.lists(_INTERIM, max_size=2))]
    steps.append(("head", ((b":status", b"%d" % status), *draw(st.permutations(length + fields))), False))
    at = 0
    while at < len(body):
        to = draw(st.integers(at, len(body)))  # empty DATA now and then
        steps.append(("data", body[at:to], False))
        at = to if to > at else min(len(body), at + draw(st.integers(1, 200)))
        if to < at:
            steps.append(("data", body[to:at], False))
    if trailers:
        steps.append(("head", trailers, True))
    elif not bodiless and draw(st.booleans()):
        steps.append(("data", b"", True))
    else:
        steps[-1] = (*steps[-1][:2], True)
    return steps, Meant(status, body, fields, trailers)


@st.composite
def _padded(draw, kind, payload, flags, stream):
    """A frame that perhaps has padding, and a head a priority."""
    if kind == HEADERS and draw(st.integers(0, 5)) == 0:
        flags, payload = flags | PRIORITIZED, struct.pack(">IB", 0, 9) + payload
    if draw(st.integers(0, 5)) == 0 and (payload or kind == DATA):
        pad = draw(st.integers(0, 20))
        flags, payload = flags | PADDED, bytes([pad]) + payload + bytes(pad)
    return Frame(kind, payload, flags, stream)


@st.composite
def _step(draw, encoder, step, stream):
    """The frames of a step."""
    kind, content, last = step
    flags = END_STREAM if last else 0
    if kind == "data":
        return [draw(_padded(DATA, content, flags, stream))]
    block = encoder.encode(content, huffman=draw(st.booleans()))
    edges = sorted(draw(st.lists(st.integers(0, len(block)), max_size=2)) if draw(st.integers(0, 3)) == 0 else [])
    parts = [block[a:b] for a, b in itertools.pairwise([0, *edges, len(block)])]
    first = draw(_padded(HEADERS, parts[0], flags | (0 if parts[1:] else END_HEADERS), stream))
    rest = [Frame(CONTINUATION, part, 0, stream) for part in parts[1:]]
    if rest:
        rest[-1] = replace(rest[-1], flags=END_HEADERS)
    return [first, *rest]


@st.composite
def _besides(draw, streams):
    """A frame that says nothing about an answer."""
    stream = draw(st.sampled_from(streams))
    return draw(st.sampled_from([
        Frame(SETTINGS, draw(_LEGAL_SETTINGS)), Frame(PING, b"12345678"), Frame(PING, b"12345678", ACK), Frame(WINDOW_UPDATE, b"\0\0\1\0"),
        Frame(WINDOW_UPDATE, b"\0\0\0\1", 0, stream), Frame(PRIORITY, b"\0\0\0\0\1", 0, stream), Frame(0xBB, b"whatever", 0xFF, stream),
        Frame(GOAWAY, b"\x7f\xff\xff\xff\0\0\0\0on my way"), Frame(GOAWAY, struct.pack(">II", max(streams), 0)),
    ]))  # fmt: skip


@st.composite
def well_formed(draw, methods, streams, *, lies=False):
    """The frames of answers on streams side by side, and what they mean; `lies`: but for their lengths."""
    encoder = hpack.Encoder()
    drawn = [draw(_answers(method, lies)) for method in methods]
    left = {stream: list(steps) for stream, (steps, _) in zip(streams, drawn, strict=True)}
    frames = []
    while any(left.values()):
        stream = draw(st.sampled_from([stream for stream, steps in left.items() if steps]))
        frames += draw(_step(encoder, left[stream].pop(0), stream))
        if draw(st.integers(0, 4)) == 0:
            frames.append(draw(_besides(streams)))
    return frames, tuple(meant for _, meant in drawn)


def _hostile(streams):
    """Frames that no peer may send, or not then."""
    head = lambda *fields: literally((b":status", b"200"), *fields)  # noqa: E731 - a few words for many
    of_a_stream = [
        (DATA, b"x"), (DATA, b"x", END_STREAM), (DATA, b"", END_STREAM), (DATA, b"", PADDED), (DATA, b"\x09abc", PADDED), (DATA, b"\0", PADDED),
        (HEADERS, b"", END_HEADERS), (HEADERS, head(), END_HEADERS), (HEADERS, head(), END_HEADERS | END_STREAM), (HEADERS, head()),
        (HEADERS, b"\x80", END_HEADERS), (HEADERS, b"\xff\xff\xff\xff\xff\xff\x0f", END_HEADERS), (HEADERS, b"\xbe", END_HEADERS),
        (HEADERS, b"\x00\x85\xff\xff\xff\xff\xff\x01a", END_HEADERS), (HEADERS, b"\x3f\xff\xff\xff\x07", END_HEADERS), (HEADERS, b"\x20" + head(), END_HEADERS | END_STREAM),
        (HEADERS, head() + b"\x20", END_HEADERS), (HEADERS, head()[:-1], END_HEADERS), (HEADERS, b"\x0f", END_HEADERS),
        (HEADERS, head((b"X-Up", b"1")), END_HEADERS), (HEADERS, head((b"connection", b"close")), END_HEADERS), (HEADERS, head((b":status", b"200")), END_HEADERS),
        (HEADERS, head((b"content-length", b"5")), END_HEADERS | END_STREAM), (HEADERS, head((b"content-length", b"5")), END_HEADERS),
        (HEADERS, head((b"content-length", b"-1")), END_HEADERS), (HEADERS, head((b"content-length", b"9" * 5000)), END_HEADERS),
        (HEADERS, head((b"x", b"a\r\nb: c")), END_HEADERS | END_STREAM), (HEADERS, head((b"", b"")), END_HEADERS),
        (HEADERS, literally((b":status", b"101")), END_HEADERS), (HEADERS, literally((b":status", b"100")), END_HEADERS | END_STREAM),
        (HEADERS, literally((b":status", b"099")), END_HEADERS), (HEADERS, literally((b"x", b"y")), END_HEADERS | END_STREAM),
        (HEADERS, b"\0\0\0\0", PRIORITIZED | END_HEADERS), (HEADERS, b"\xff" + head(), PADDED | END_HEADERS),
        (HEADERS, literally((b":status", b"200"), *[(b"x", b"y" * 400)] * 8), END_HEADERS),
        (CONTINUATION, head(), END_HEADERS), (CONTINUATION, b""), (PRIORITY, b"\0\0\0\0"), (PRIORITY, b"\0\0\0\1\1"),
        (RST_STREAM, b"\0\0\0\7"), (RST_STREAM, b"\0\0\0\0"), (RST_STREAM, b"\xff\xff\xff\xff"), (RST_STREAM, b"\0"),
        (PUSH_PROMISE, b"\0\0\0\2" + head(), END_HEADERS), (WINDOW_UPDATE, bytes(4)), (WINDOW_UPDATE, b"\x7f\xff\xff\xff"), (WINDOW_UPDATE, b"\0"),
        (10, b"\0\1xy"), (10, b""), (SETTINGS, b""), (PING, b"12345678"), (GOAWAY, bytes(8)),
    ]  # fmt: skip
    of_the_connection = [
        (SETTINGS, b"", ACK), (SETTINGS, b"x", ACK), (SETTINGS, b"12345"), (SETTINGS, _setting(2, 1)), (SETTINGS, _setting(4, 1 << 31)),
        (SETTINGS, _setting(4, (1 << 31) - 1)), (SETTINGS, _setting(4, 0)), (SETTINGS, _setting(5, 1)), (SETTINGS, _setting(3, 0)), (SETTINGS, _setting(8, 2)),
        (PING, b"1234567"), (PING, b"12345678", ACK), (GOAWAY, bytes(8)), (GOAWAY, b"\0\0\0\1\0\0\0\x0b"), (GOAWAY, b"\0\0\0\3\0\0\0\0"), (GOAWAY, b"\0"),
        (WINDOW_UPDATE, bytes(4)), (WINDOW_UPDATE, b"\x7f\xff\xff\xff"), (WINDOW_UPDATE, b"\0\0\0"), (DATA, b"x"), (HEADERS, head(), END_HEADERS), (RST_STREAM, bytes(4)),
        (0xBB, b""), (0xFF, b"x" * 300, 0xFF),
    ]  # fmt: skip
    places = st.sampled_from([*streams, *streams, 2, streams[-1] + 2, 0x7FFFFFFF, 0xFFFFFFFF])
    return st.one_of(
        st.builds(
            lambda parts, stream: Frame(*parts[:2], (*parts, 0)[2], stream), st.sampled_from(of_a_stream), places
        ),
        st.sampled_from(of_the_connection).map(lambda parts: Frame(*parts)),
    )


@st.composite
def _altered(draw, frame, streams):
    """A frame with something else about it."""
    at = draw(st.integers(0, len(frame.payload)))
    return draw(st.sampled_from([
        replace(frame, stream=draw(st.sampled_from([0, 2, *streams, streams[-1] + 2]))), replace(frame, kind=draw(st.integers(0, 11))),
        replace(frame, flags=frame.flags ^ draw(st.sampled_from([END_STREAM, END_HEADERS, PADDED, PRIORITIZED]))),
        replace(frame, length=draw(st.sampled_from([0, 1, max(0, len(frame.payload) - 1), len(frame.payload) + 1, 20_000, (1 << 24) - 1]))),
        replace(frame, payload=frame.payload[:at]), replace(frame, payload=frame.payload + b"x"),
        replace(frame, payload=frame.payload[:at] + draw(st.binary(min_size=1, max_size=3)) + frame.payload[at + 1 :]),
    ]))  # fmt: skip


@st.composite
def _mutated(draw, frames, streams):
    """Frames left out, said twice, put elsewhere, altered, put in; as bytes."""
    frames = list(frames)
    for _ in range(draw(st.integers(1, 3))):
        if not frames:
            break
        at, to = draw(st.integers(0, len(frames) - 1)), draw(st.integers(0, len(frames)))
        does = draw(st.sampled_from(["drop", "twice", "move", "alter", "alter", "put", "put", "put"]))
        frame = frames[at]
        if does in {"drop", "move"}:
            del frames[at]
        if does in {"twice", "move"}:
            frames.insert(to, frame)
        elif does == "alter":
            frames[at] = draw(_altered(frame, streams))
        elif does == "put":
            frames.insert(to, draw(_hostile(streams)))
    wire = b"".join(frame.wire for frame in frames)
    if draw(st.integers(0, 4)) == 0:
        wire = wire[: draw(st.integers(0, len(wire)))]
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(wire)))
        wire = wire[:at] + draw(st.binary(max_size=12)) + wire[at:]
    return wire


@st.composite
def scripts(draw):
    """Any of it."""
    methods, warm, end = draw(_METHODS), draw(st.booleans()), draw(_ENDS)
    blank = Script(methods, warm, draw(_LEGAL_SETTINGS), b"", draw(_CUTS), end)
    kind = draw(
        st.sampled_from(["well-formed", "well-formed", "mutated", "mutated", "mutated", "lies", "hostile", "binary"])
    )
    if kind == "binary":
        return replace(blank, said=draw(st.binary(max_size=60)))
    if kind == "hostile":
        return replace(
            blank, said=b"".join(frame.wire for frame in draw(st.lists(_hostile(blank.streams), max_size=8)))
        )
    frames, meant = draw(well_formed(methods, blank.streams, lies=kind == "lies"))
    if kind == "mutated":
        return replace(blank, said=draw(_mutated(frames, blank.streams)))
    return replace(blank, said=b"".join(frame.wire for frame in frames), meant=() if kind == "lies" else meant)


@st.composite
def tls_scripts(draw):
    """The same within a TLS session, with alerts and bytes in it that are no records of the session."""
    raw = draw(st.one_of(st.just(b""), RAW))
    return replace(draw(scripts()), raw=raw, end=draw(st.sampled_from(["stay", "close", "reset"])))
