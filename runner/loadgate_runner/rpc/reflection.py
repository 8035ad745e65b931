"""Descriptors asked of the server itself: gRPC's server reflection, v1 and, where that isn't there, v1alpha.

Both speak the same messages (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md). What is needed of them
is described here, so that no package is needed for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf import descriptor_pb2, message_factory, text_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from loadgate.api.grammar.errors import did_you_mean
from loadgate_runner.rpc.descriptors import DescriptorsError
from loadgate_runner.rpc.writing import write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadgate_runner.rpc.descriptors import Descriptors

_SERVICES: Final = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
_LARGEST: Final = 16 << 20
"""Bytes of descriptors of one server."""

_SCHEMA: Final = """
name: "loadgate/reflection.proto" package: "loadgate" syntax: "proto3"
message_type { name: "Request" oneof_decl { name: "asked" }
  field { name: "file" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "symbol" number: 4 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "services" number: 7 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 } }
message_type { name: "Files" field { name: "file" number: 1 type: TYPE_BYTES label: LABEL_REPEATED } }
message_type { name: "Service" field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "Services"
  field { name: "service" number: 1 type: TYPE_MESSAGE type_name: "Service" label: LABEL_REPEATED } }
message_type { name: "Error" field { name: "message" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "Response" oneof_decl { name: "answer" }
  field { name: "files" number: 4 type: TYPE_MESSAGE type_name: "Files" label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "services" number: 6 type: TYPE_MESSAGE type_name: "Services" label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "error" number: 7 type: TYPE_MESSAGE type_name: "Error" label: LABEL_OPTIONAL oneof_index: 0 } }
"""


def _messages() -> tuple[Any, Any]:
    pool = DescriptorPool()
    pool.Add(text_format.Parse(_SCHEMA, descriptor_pb2.FileDescriptorProto()))
    found = (pool.FindMessageTypeByName(f"loadgate.{name}") for name in ("Request", "Response"))
    request, response = map(message_factory.GetMessageClass, found)
    return request, response


_REQUEST, _RESPONSE = _messages()


async def describe(
    channel: Any, service: str, metadata: tuple[tuple[str, str | bytes], ...], seconds: float, into: Descriptors
) -> None:
    """Ask over a channel for all that describes a service. Raises DescriptorsError."""
    if service in into.services:
        return
    for place, reflection in enumerate(_SERVICES, start=1):
        method = channel.stream_stream(f"/{reflection}/ServerReflectionInfo")
        talk = _Talk(method(timeout=seconds, metadata=metadata))
        try:
            await talk.collect(service, into)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise DescriptorsError(f"reflection failed: {error.code().name}: {error.details()}") from error
            if place == len(_SERVICES):
                raise DescriptorsError("the server has no reflection: give a protoset, or protos") from error
        else:
            return
        finally:
            talk.end()


class _Talk:
    """One stream of questions and answers."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._size = 0

    def end(self) -> None:
        """No more questions."""
        self._stream.cancel()

    async def collect(self, service: str, into: Descriptors) -> None:
        """Get the file of a service, and what it imports, and what that does."""
        answer = await self._ask(symbol=service)
        if answer.WhichOneof("answer") == "error":
            known = [each.name for each in (await self._ask(services="")).services.service]
            raise DescriptorsError(f"the server has no service {service!r}: {did_you_mean(service, known)}")
        into.add(answer.files.file)
        asked: set[str] = set()
        while missing := into.missing():
            async for files in self._files(missing, asked):
                into.add(files)

    async def _files(self, names: list[str], asked: set[str]) -> AsyncIterator[list[bytes]]:
        for name in names:
            if name in asked:
                raise DescriptorsError(f"the server doesn't describe {name}, which others import")
            asked.add(name)
            answer = await self._ask(file=name)
            if answer.WhichOneof("answer") == "error":
                raise DescriptorsError(f"the server doesn't describe {name}: {answer.error.message[:200]}")
            yield list(answer.files.file)

    async def _ask(self, **asked: str) -> Any:
        await write(self._stream, _REQUEST(**asked).SerializeToString())
        data = await self._stream.read()
        if not isinstance(data, bytes):
            raise DescriptorsError("the server ended its reflection without an answer")
        self._size += len(data)
        if self._size > _LARGEST:
            raise DescriptorsError(f"the server describes more than {_LARGEST >> 20} MiB")
        try:
            return _RESPONSE.FromString(data)
        except DecodeError as fault:
            raise DescriptorsError(f"no answer of a reflection came: {fault}") from fault
