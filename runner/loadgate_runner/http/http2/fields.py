"""From an HTTP/1.1 request's bytes to HTTP/2's fields, and from an answer's fields to a head. Pure."""

import re

Fields = list[tuple[bytes, bytes]]

_END = b"\r\n\r\n"
_LINE_END = b"\r\n"
_OF_A_CONNECTION = frozenset({
    b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"http2-settings",
})  # fmt: skip
_LINES = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9a-z]+: [^\0\r\n]*\r\n)*")
_STATUS = re.compile(rb"[1-9][0-9][0-9]")
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n")
_TOLD = re.compile(rb"\r\ncontent-length: ([^\r]*)")
_NUMBER = re.compile(rb"[0-9]{1,19}")
_SWITCHING = 101


class Malformed(Exception):  # noqa: N818  it says what the answer is
    """An answer that RFC 9113, 8.1.1, calls so; the message names what is wrong."""


def request_fields(wire: bytes, scheme: bytes) -> tuple[Fields, int]:
    """The fields of a request in HTTP/1.1's form, and where in it the body begins.

    `Host` becomes `:authority`, and what is about a connection stays behind (RFC 9113, 8.2.2), with the headers that a
    `Connection` names; of `TE` only `trailers` may go.
    """
    end = wire.index(_END)
    lines = wire[:end].split(_LINE_END)
    method, path, _ = lines[0].split(b" ", 2)
    authority, named, rest = b"", b"", []
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip()
        if name == b"host":
            authority = value
        elif name == b"connection":
            named += b"," + value
        elif name not in _OF_A_CONNECTION and (name != b"te" or value.lower() == b"trailers"):
            rest.append((name, value))
    fields = [(b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path)]
    if named:
        gone = {name.strip().lower() for name in named.split(b",")}
        rest = [field for field in rest if field[0] not in gone or field[0] == b"te"]
    return fields + rest, end + len(_END)


def answer_head(fields: Fields) -> tuple[int, bytes]:
    """The status of an answer, and its fields in the form of HTTP/1.1, empty line included. Raises Malformed."""
    if not fields or fields[0][0] != b":status" or not _STATUS.fullmatch(fields[0][1]):
        raise Malformed("it doesn't begin with a status")
    code = fields[0][1]
    status = int(code)
    if status == _SWITCHING:
        raise Malformed("the status 101 isn't HTTP/2's")
    del fields[0]
    head = b"HTTP/2.0 " + code + _LINE_END + field_lines(fields) + _LINE_END
    told = _TOLD.findall(head)
    if told and not (_NUMBER.fullmatch(told[0]) and told.count(told[0]) == len(told)):
        raise Malformed("its content-length isn't one number")  # h2 doesn't look where HEAD was asked for
    return status, head


def told_length(head: bytes) -> int | None:
    """How long a body is by its head, of which h2 has seen that it says so once."""
    told = _LENGTH.search(head)
    return None if told is None else int(told[1])


def field_lines(fields: Fields) -> bytes:
    """Fields in the form of HTTP/1.1, each a line. Raises Malformed."""
    lines = b"".join([name + b": " + value + _LINE_END for name, value in fields])
    # A line end in a value would make a line more, so that lines are counted too.
    if not _LINES.fullmatch(lines) or lines.count(_LINE_END) != len(fields):
        raise Malformed("a field's name or value has a character that it may not have")
    if any(name in _OF_A_CONNECTION for name, _ in fields):
        raise Malformed("a field is about a connection, which HTTP/2 has no fields for")
    return lines
