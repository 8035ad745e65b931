"""A server of a few lines for the example of HTTP/2; hypercorn speaks that, and HTTP/1.1, on the same port."""

import json
from collections.abc import Awaitable, Callable
from typing import Any


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Say in which version of HTTP a request came, and how much of a body (ASGI)."""
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    said = json.dumps({"version": scope["http_version"], "bytes": size}).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(said))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": said})
