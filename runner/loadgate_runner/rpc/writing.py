"""Sending within a stream. grpc.aio's own `write` loses the server's status, so its parts are used one by one."""

from __future__ import annotations

from typing import Any

import grpc


async def write(call: Any, message: bytes) -> bool:
    """Send a message over a call; False where the call is over, and reading says how it ended.

    `call.write` does the same, but where the server has just ended the call it sets INTERNAL in the place of the
    server's own status (grpc's issue 36066), as often as not.
    """
    await call._metadata_sent.wait()  # noqa: SLF001 - see above; grpcio is locked, and tests hold to it
    if call.done():
        return False
    try:
        await call._cython_call.send_serialized_message(message)  # noqa: SLF001 - likewise
    except grpc.aio.InternalError:
        return False
    return True


async def end(call: Any) -> None:
    """Say that no more messages come."""
    try:
        await call.done_writing()
    except grpc.aio.InternalError:
        return
