"""A second opinion on an answer: what h11, which shares no code with our parser, makes of the same bytes. Pure."""

import re
from dataclasses import dataclass

import h11

_MOST = 1 << 24


@dataclass(frozen=True)
class Opinion:
    """`kind` is "whole", "unfinished" (more is to come) or "malformed" (`why`)."""

    kind: str
    status: int = 0
    body: bytes = b""
    coded: bool = False
    """Whether the body has a content coding."""
    why: str = ""


def opinion(method, said, *, ended):
    """What h11 says of an answer to `method`; `ended` where the connection ended in order behind it."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST)
    parser.send(h11.Request(method=method, target="/", headers=[("Host", "x"), ("Content-Length", "0")]))
    parser.send(h11.EndOfMessage())
    if said:
        parser.receive_data(said)
    found = _read(parser)
    if "status line" in found.why:  # nobody reads a reason, so that ours may hold anything
        legal = _REASON.sub(lambda match: match[1] + match[2].translate(_UNPRINTABLE), said)
        return found if legal == said else opinion(method, legal, ended=ended)
    if found.kind == "unfinished" and ended:
        parser.receive_data(b"")
        rest = _read(parser, found)
        return rest if rest.kind == "whole" else found
    return found


_REASON = re.compile(rb"(HTTP/1[.][01] [0-9]{3} )([^\r\n]*)")
_UNPRINTABLE = bytes(b if b == 9 or 32 <= b != 127 else 63 for b in range(256))


def _read(parser, before=Opinion("unfinished")):
    status, body, coded = before.status, before.body, before.coded
    try:
        while True:
            event = parser.next_event()
            if isinstance(event, h11.Response):
                status, coded = event.status_code, any(name == b"content-encoding" for name, _ in event.headers)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return Opinion("whole", status, body, coded)
            elif not isinstance(event, h11.InformationalResponse):
                return Opinion("unfinished", status, body, coded)
    except h11.RemoteProtocolError as fault:
        if "_SWITCH_UPGRADE" in str(fault):
            return Opinion("whole", 101)  # h11 was told that nobody asked for it; to us it is an answer, and the end
        return Opinion("malformed", status, body, coded, str(fault))


def is_request(wire):
    """Whether bytes are one whole request in h11's eyes, and nothing else."""
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(wire)
    try:
        first = parser.next_event()
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                return False
    except h11.RemoteProtocolError:
        return False
    return isinstance(first, h11.Request) and parser.trailing_data == (b"", False)
