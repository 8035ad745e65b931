"""Descriptors of gRPC's methods: of a file, of .proto files, or asked of the server, once for all of a process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from loadgate_runner.rpc import Descriptors, DescriptorsError, compiled_protos, describe, line_of

from .data import LARGEST_FILE, read_file

if TYPE_CHECKING:
    from collections.abc import Mapping
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


async def compiled(protos: Mapping[str, Path], kept: dict[Any, Any]) -> Descriptors:
    """What .proto files say. Raises DescriptorsError, each time anew, and JourneyError where one isn't there."""
    key = ("protos", *sorted(protos.items()))
    async with kept.setdefault(("compiling", *key), asyncio.Lock()):
        if key not in kept:
            kept[key] = await _compile(protos)
    found: Descriptors | DescriptorsError = kept[key]
    if isinstance(found, DescriptorsError):
        raise DescriptorsError(str(found))
    return found


async def _compile(protos: Mapping[str, Path]) -> Descriptors | DescriptorsError:
    """The descriptors, or what is wrong with the files: protoc isn't asked a second time about the same ones."""
    if sum(len(read_file(file)) for file in protos.values()) > LARGEST_FILE:
        return DescriptorsError(f"protos: the files are larger than {LARGEST_FILE} bytes in all")
    try:
        return await compiled_protos(protos)
    except DescriptorsError as fault:
        return fault


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
