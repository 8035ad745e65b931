"""A second opinion on what a peer of HTTP/2 says: RFC 9113 read without h2, frame by frame. Pure.

It reads on past what is wrong, and notes it: what a client makes of that is its choice, but an answer that it takes must
be whole here, with the same content.
"""

import re
from dataclasses import dataclass, field

import hpack
from fuzz_h2_frames import (
    ACK,
    ALTSVC,
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
    frames_of,
)

LARGEST = 16_384
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_ABOUT_CONNECTIONS = {
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"transfer-encoding",
    b"upgrade",
    b"http2-settings",
}
_SIZES = {RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_OF_A_STREAM = {DATA, HEADERS, RST_STREAM, PRIORITY, CONTINUATION, PUSH_PROMISE}
_OF_THE_CONNECTION = {SETTINGS, PING, GOAWAY}
_MOST_WINDOW = (1 << 31) - 1
_FIRST_WINDOW = 65_535
_MUCH = 1500


@dataclass
class Read:
    """One stream: `kind` is "open", "whole", "reset", "refused" or "malformed" (`why`)."""

    method: str
    kind: str = "open"
    why: str = ""
    status: int = 0
    fields: list = field(default_factory=list)
    trailers: list = field(default_factory=list)
    body: bytes = b""
    began: bool = False
    """Whether anything of an answer came."""
    before: bool = True
    """Whether nothing was wrong with the connection when it became what it is."""

    @property
    def over(self):
        """Whether nothing more is to come."""
        return self.kind != "open"


class Fault(Exception):  # noqa: N818 - it says what is wrong
    """The connection can't go on."""


class Opinion:
    """What was said to the requests that are open, by stream."""

    def __init__(self, methods, *, table=4096):
        self.streams = {stream: Read(method) for stream, method in methods.items()}
        self.fault = ""
        """What is wrong with the connection as a whole."""
        self.doubt = ""
        """What a client may as well object to as not."""
        self.heads = 0
        self.unfinished = False
        """Whether it ends within a frame, or within a block of fields."""
        self.faulted = False
        """Whether a GOAWAY tells of a fault, so that the connection's end within an answer is no orderly one."""
        self.shut = False
        """Whether no stream may be opened, so that who asks next waits in vain."""
        self._decoder = hpack.Decoder(1 << 24)
        self._decoder.max_allowed_table_size = table
        self._highest = max(self.streams, default=0)
        self._block = None
        self._initial, self._opened = _FIRST_WINDOW, {}

    def hear(self, wire):
        """Read it all."""
        frames, rest = frames_of(wire)
        try:
            for frame in frames:
                self._take(frame)
        except Fault as fault:
            self.fault = str(fault)
        if len(rest) >= 3 and int.from_bytes(rest[:3], "big") > LARGEST:
            self.fault = self.fault or "a frame is too large"
        self._begun(rest)
        self.unfinished = bool(rest) or self._block is not None
        return self

    def _begun(self, rest):
        """A frame that isn't whole may be refused as soon as its head is there."""
        if len(rest) >= 9:
            size, kind, stream = int.from_bytes(rest[:3], "big"), rest[3], int.from_bytes(rest[5:9], "big") & 0x7FFFFFFF
            misplaced = (kind in _OF_A_STREAM and not stream) or (kind in _OF_THE_CONNECTION and stream)
            if misplaced or size != _SIZES.get(kind, size):
                self._doubt("the head of a frame that isn't whole is wrong")
            if kind in {HEADERS, CONTINUATION} and size > _MUCH:
                self._doubt("a head that isn't whole is announced as large")

    def _take(self, frame):
        if len(frame.payload) > LARGEST:
            raise Fault("a frame is too large")
        if self._block is not None and (frame.kind != CONTINUATION or frame.stream != self._block[0].stream):
            raise Fault("something comes within a block of fields")
        if (frame.kind in _OF_A_STREAM and not frame.stream) or (frame.kind in _OF_THE_CONNECTION and frame.stream):
            raise Fault("a frame is of a stream that it can't be of")
        if frame.kind in _SIZES and len(frame.payload) != _SIZES[frame.kind]:
            raise Fault("a frame has another size than it must have")
        {
            DATA: self._data, HEADERS: self._headers, CONTINUATION: self._continuation, RST_STREAM: self._rst,
            SETTINGS: self._settings, GOAWAY: self._goaway, WINDOW_UPDATE: self._window, PRIORITY: self._priority,
            PUSH_PROMISE: self._push, PING: self._ping, ALTSVC: self._altsvc,
        }.get(frame.kind, lambda _: None)(frame)  # fmt: skip

    def _stream(self, number):
        """A stream that is open; None where it was, so that what comes is late."""
        if number % 2 == 0 or number > self._highest:
            raise Fault("a stream was never opened")
        read = self.streams.get(number)
        if read is None or read.over:
            self._doubt("something comes for a stream that is over")
            return None
        return read

    def _doubt(self, why):
        self.doubt = self.doubt or why

    def _over(self, read, kind, why=""):
        read.kind, read.why, read.before = kind, why, not self.doubt

    def _data(self, frame):
        content, read = frame.content, self._stream(frame.stream)
        if content is None:
            raise Fault("there is more padding than frame")
        if read is None:
            return
        if not read.status:
            self._over(read, "malformed", "content comes before a head")
            return
        read.body += content
        if frame.flags & END_STREAM:
            self._end(read)
        elif len(read.body) > max(_lengths(read), default=len(read.body)):
            self._doubt("a body that goes on is longer than it was said to be")

    def _headers(self, frame):
        content = frame.content
        if content is None and _padding_within_priority(frame):
            content = b""
            self._doubt("padding reaches into a head's priority, which hyperframe lets pass")
        if content is None:
            raise Fault("there is more padding than frame")
        if not content and frame.flags & PADDED:
            self._doubt("a head's first frame is nothing but padding, which hyperframe refuses")
        self._block = (frame, content)
        if frame.flags & END_HEADERS:
            self._fields()

    def _continuation(self, frame):
        if self._block is None:
            raise Fault("nothing is to be continued")
        self._block = (self._block[0], self._block[1] + frame.payload)
        if frame.flags & END_HEADERS:
            self._fields()

    def _fields(self):
        (frame, block), self._block = self._block, None
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except (hpack.HPACKError, IndexError, UnicodeDecodeError) as fault:
            raise Fault(f"HPACK: {fault}") from None
        self.heads += len(block) + sum(len(name) + len(value) + 32 for name, value in fields)
        read = self._stream(frame.stream)
        if read is None:
            return
        read.began = True
        if read.status:
            self._trailed(read, fields, frame)
        else:
            self._headed(read, fields, frame)

    def _trailed(self, read, fields, frame):
        if not frame.flags & END_STREAM:
            self._over(read, "malformed", "fields come within the body")
            return
        why = unfit(fields)
        if why:
            self._over(read, "malformed", why)
            return
        read.trailers = fields
        self._end(read)

    def _headed(self, read, fields, frame):
        why = malformed(fields)
        if why:
            self._over(read, "malformed", why)
            return
        status = int(fields[0][1])
        if status < 200:
            if frame.flags & END_STREAM:
                self._over(read, "malformed", "an interim answer is the last")
            return
        read.status, read.fields = status, fields[1:]
        if frame.flags & END_STREAM:
            self._end(read)

    def _end(self, read):
        lengths = _lengths(read)
        if read.method == "HEAD":
            fits = not read.body
        elif read.status in {204, 304} and not read.body:
            fits = True
        else:
            fits = not lengths or lengths == {len(read.body)}
        if read.body and read.status in {204, 304}:
            self._doubt("there is content where there can't be any")
        self._over(read, *(("whole",) if fits else ("malformed", "its length is another than it says")))

    def _rst(self, frame):
        if frame.stream % 2 == 0 or frame.stream > self._highest:
            self._doubt("a stream is reset that was never opened, which h2 passes over")
            return
        read = self._stream(frame.stream)
        if read is not None:
            self._over(read, "reset")

    def _settings(self, frame):
        if frame.flags & ACK:
            if frame.payload:
                raise Fault("an acknowledgement says something")
            return
        if len(frame.payload) % 6:
            raise Fault("settings are cut")
        for at in range(0, len(frame.payload), 6):
            code, value = (
                int.from_bytes(frame.payload[at : at + 2], "big"),
                int.from_bytes(frame.payload[at + 2 : at + 6], "big"),
            )
            if (
                (code == 2 and value)
                or (code == 4 and value > _MOST_WINDOW)
                or (code == 5 and not LARGEST <= value < 1 << 24)
            ):
                raise Fault("a setting has a value that it can't have")
            if code == 3:
                self.shut = not value
            if code == 4:
                self._initial = max(self._initial, value)
                self._look_at_windows()
            if code == 8:
                self._doubt("RFC 8441's setting isn't for us")

    def _goaway(self, frame):
        if len(frame.payload) < 8:
            raise Fault("a GOAWAY is cut")
        last = int.from_bytes(frame.payload[:4], "big") & 0x7FFFFFFF
        self.faulted = self.faulted or frame.payload[4:8] != bytes(4)
        for number, read in self.streams.items():
            if number > last and not read.over:
                self._over(read, "refused")

    def _window(self, frame):
        number = int.from_bytes(frame.payload, "big") & 0x7FFFFFFF
        if frame.stream and (frame.stream % 2 == 0 or frame.stream > self._highest):
            raise Fault("a stream was never opened")
        if not number or number > 1 << 20:
            self._doubt("a window is too large, or doesn't open")
        if frame.stream:
            self._opened[frame.stream] = self._opened.get(frame.stream, 0) + number
            self._look_at_windows()

    def _look_at_windows(self):
        if self._initial + max(self._opened.values(), default=0) > _MOST_WINDOW:
            self._doubt("a window overflows")

    def _priority(self, frame):
        if len(frame.payload) != 5:
            self._doubt("a PRIORITY is cut")
        elif int.from_bytes(frame.payload[:4], "big") & 0x7FFFFFFF == frame.stream:
            self._doubt("a stream hangs on itself")

    def _push(self, frame):
        raise Fault("nothing may be pushed")

    def _ping(self, frame):
        pass

    def _altsvc(self, frame):
        self._doubt("a kind that h2 knows and RFC 9113 doesn't")


def _padding_within_priority(frame):
    """Whether a head's padding is shorter than its frame, but reaches into the five bytes of its priority."""
    return bool(frame.flags & PADDED and frame.flags & PRIORITIZED and 5 < len(frame.payload) > frame.payload[0] + 1)


def malformed(fields):
    """What is wrong with the fields of a head; "" where nothing is."""
    if not fields or fields[0][0] != b":status":
        return "no status comes first"
    if not re.fullmatch(rb"[1-9][0-9][0-9]", fields[0][1]) or fields[0][1] == b"101":
        return "its status is none"
    why = unfit(fields[1:])
    if why:
        return why
    lengths = {value for name, value in fields if name == b"content-length"}
    if len(lengths) > 1 or not all(value.isdigit() and len(value) < 20 for value in lengths):
        return "its length is none"
    return ""


def _lengths(read):
    """What was said of a body's length."""
    return {int(value) for name, value in read.fields if name == b"content-length"}


def unfit(fields):
    """What is wrong with fields that aren't pseudo-fields; "" where nothing is."""
    for name, value in fields:
        if not _NAME.fullmatch(name) or re.search(rb"[\0\r\n]", value):
            return "a field has a character that it can't have"
        if name in _ABOUT_CONNECTIONS:
            return "a field is about a connection"
    return ""
