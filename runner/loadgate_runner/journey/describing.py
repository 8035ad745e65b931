"""Descriptors of gRPC's methods: of a file, or asked of the server, once for all of a process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from loadgate_runner.rpc import Descriptors, describe, line_of

from .data import read_file

if TYPE_CHECKING:
    from pathlib import Path

    from loadgate_runner.http import Request as Prepared

    from .metadata import Entries
    from .ports import Sender

_SECOND: Final = 1e9


def described(protoset: Path, kept: dict[Any, Any]) -> Descriptors:
    """What a file says. Raises DescriptorsError, and JourneyError where it isn't there."""
    key = ("protoset", protoset)
    if key not in kept:
        kept[key] = Descriptors.of_protoset(read_file(protoset))
    found: Descriptors = kept[key]
    return found


async def reflected(
    service: str, prepared: Prepared, metadata: Entries, client: Sender, kept: dict[Any, Any]
) -> Descriptors:
    """What the server says of a service; who asks while another does waits for that. Raises DescriptorsError.

    Where there is no connection, RequestFailed. One that was made for this isn't kept: a call's own is measured.
    """
    options = prepared.options
    key = ("reflection", prepared.origin, options.tls, options.host)
    async with kept.setdefault(("reflecting", *key), asyncio.Lock()):
        found: Descriptors = kept.setdefault(key, Descriptors())
        if service not in found.services:
            del kept[key]  # half of what describes a service is worse than nothing
            await _ask(service, prepared, metadata, client, found)
            kept[key] = found
    return found


async def _ask(service: str, prepared: Prepared, metadata: Entries, client: Sender, into: Descriptors) -> None:
    line = line_of(client, prepared)
    response = line.begin(prepared)
    channel = await line.channel(response, response.started + prepared.total)
    try:
        await describe(channel, service, metadata, prepared.total / _SECOND, into)
    finally:
        if not response.reused:
            line.close()
