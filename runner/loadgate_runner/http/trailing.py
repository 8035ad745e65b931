"""What a parser calls where someone asks for trailers: fields behind a chunked body (RFC 9112, 7.1.2)."""

from collections.abc import Callable


class Trailing:
    """Keeps the fields that come behind the last head, as lines, and no more of them than a head may have."""

    def __init__(
        self,
        most: int,
        on_message_begin: Callable[[], None],
        on_message_complete: Callable[[], None],
        on_body: Callable[[bytes], None],
    ) -> None:
        """`most` is in bytes; the rest is what the parser calls besides."""
        self._on_message_begin = on_message_begin
        self.lines = bytearray()
        self.on_message_complete = on_message_complete
        self._on_body = on_body
        self._most = most
        self._behind = self._quiet = False
        self._waiting = 0

    def fed(self, size: int) -> bool:
        """The parser had a piece of so many bytes; whether what it gathers is more than it may be.

        A field is told once it is whole, so that bytes count in which no body came.
        """
        self._waiting = self._waiting + size if self._behind and self._quiet else 0
        self._quiet = True
        return self._waiting > self._most or len(self.lines) > self._most

    def on_message_begin(self) -> None:
        """Another answer: the one before was an interim one, unless the callback raises."""
        self._on_message_begin()
        self._behind = False

    def on_headers_complete(self) -> None:
        """Fields are trailers from here on."""
        self._behind = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head, or behind the body."""
        if self._behind and len(self.lines) <= self._most:
            self.lines += name + b": " + value + b"\r\n"

    def on_body(self, piece: bytes) -> None:
        """Some of the body."""
        self._quiet = False
        self._on_body(piece)
