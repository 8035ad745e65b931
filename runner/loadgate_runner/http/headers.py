"""The head of an answer, read only when someone asks: most answers are never asked."""

from collections.abc import Iterator

from loadgate_runner.http.cookies import parse_set_cookie

END = b"\r\n\r\n"
_LINE_ENDS = (b"\r", b"\n")


class Headers:
    """Names are without regard to case; a name may come several times."""

    __slots__ = ("_fields",)

    def __init__(self, head: bytes = b"") -> None:
        self._fields: dict[str, list[str]] = {}
        for line in head.partition(END)[0].split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            self._fields.setdefault(name.decode("latin-1").strip().lower(), []).append(_text(value))

    def get(self, name: str, default: str | None = None) -> str | None:
        """A header's value; several are joined by commas, as RFC 9110 allows for all but Set-Cookie."""
        values = self._fields.get(name.lower())
        return default if values is None else ", ".join(values)

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        return list(self._fields.get(name.lower(), ()))

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._fields

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Every header as (name in lower case, value)."""
        return ((name, value) for name, values in self._fields.items() for value in values)

    def __len__(self) -> int:
        return sum(map(len, self._fields.values()))

    @property
    def cookies(self) -> dict[str, str]:
        """Name and value of each Set-Cookie; the last one of a name counts."""
        parsed = map(parse_set_cookie, self._fields.get("set-cookie", ()))
        return {cookie[0]: cookie[1] for cookie in parsed if cookie is not None}


def final_head(received: bytes | bytearray, start: int = 0, searched: int = 0) -> tuple[int, int]:
    """Where the head of the final answer begins and ends (past its empty line), behind any interim (1xx) ones.

    While it isn't whole, its end is 0, and it begins no earlier than said: look on from there with more bytes. A head
    begins at `start`, and up to `searched` it has no end. Validity is the parser's affair, but for an empty line in a
    head's place: that is a head of one byte, since parsers skip it and go on behind it.
    """
    while True:
        if received[start : start + 1] in _LINE_ENDS:
            return start, start + 1
        end = received.find(END, max(start, searched))
        if end < 0:
            return start, 0
        end += len(END)
        interim = received[start + 9 : start + 10] == b"1" and received[start + 9 : start + 12] != b"101"
        if not interim:  # "HTTP/1.1 1xx"
            return start, end
        start = end


def _text(value: bytes) -> str:
    """A header's value: UTF-8 where it is that, else Latin-1, which everything is."""
    value = value.strip(b" \t")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
