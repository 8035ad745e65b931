"""A gRPC server made with grpcio's own parts, for tests: `python rpc_server.py '{"reflection": "v1"}'` prints its port.

What a call is to meet stands in its metadata: `x-status` (a status to fail with), `x-delay` (seconds), `x-die` (the process
ends at once).
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, text_format, timestamp_pb2
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection, reflection_pb2

SERVICE = "test.v1.Echo"
_COMMON = """
name: "test/common.proto" package: "test.v1" syntax: "proto3"
enum_type { name: "Mood" value { name: "CALM" number: 0 } value { name: "CROSS" number: 1 } }
message_type { name: "Inner" field { name: "deep_name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "deepName" } }
"""
_MAIN = """
name: "test/echo.proto" package: "test.v1" syntax: "proto3"
dependency: "test/common.proto" dependency: "google/protobuf/timestamp.proto"
message_type { name: "Said"
  field { name: "text" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "text" }
  field { name: "number" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL json_name: "number" }
  field { name: "tags" number: 3 type: TYPE_STRING label: LABEL_REPEATED json_name: "tags" }
  field { name: "inner" number: 4 type: TYPE_MESSAGE type_name: ".test.v1.Inner" label: LABEL_OPTIONAL json_name: "inner" }
  field { name: "mood" number: 5 type: TYPE_ENUM type_name: ".test.v1.Mood" label: LABEL_OPTIONAL json_name: "mood" }
  field { name: "at" number: 6 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" label: LABEL_OPTIONAL json_name: "at" }
  field { name: "small" number: 7 type: TYPE_INT32 label: LABEL_OPTIONAL json_name: "small" }
  field { name: "counts" number: 8 type: TYPE_MESSAGE type_name: ".test.v1.Said.CountsEntry" label: LABEL_REPEATED json_name: "counts" }
  nested_type { name: "CountsEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "key" }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".test.v1.Inner" label: LABEL_OPTIONAL json_name: "value" } } }
service { name: "Echo"
  method { name: "Say" input_type: ".test.v1.Said" output_type: ".test.v1.Said" }
  method { name: "Missing" input_type: ".test.v1.Said" output_type: ".test.v1.Said" }
  method { name: "Count" input_type: ".test.v1.Said" output_type: ".test.v1.Said" server_streaming: true }
  method { name: "Sum" input_type: ".test.v1.Said" output_type: ".test.v1.Said" client_streaming: true }
  method { name: "Chat" input_type: ".test.v1.Said" output_type: ".test.v1.Said" client_streaming: true server_streaming: true } }
"""


def files():
    """The descriptors of both files, the imported one first."""
    return [text_format.Parse(text, descriptor_pb2.FileDescriptorProto()) for text in (_COMMON, _MAIN)]


def protoset(*, whole=True):
    """A file of descriptors, as protoc makes it with its imports, or without."""
    made = files()
    return descriptor_pb2.FileDescriptorSet(file=made if whole else made[1:]).SerializeToString()


def _said():
    pool = Default()
    assert timestamp_pb2.DESCRIPTOR
    for file in files():
        pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("test.v1.Said"))


async def _meet(context):
    """What the metadata asks for."""
    asked = dict(context.invocation_metadata())
    if "x-die" in asked:
        os._exit(0)
    seen = {
        "x-peer": context.peer(),
        "x-authority": asked.get("x-token", "none"),
        "x-trace": asked.get("traceparent", "none"),
        "x-auth": asked.get("authorization", "none"),
    }
    await context.send_initial_metadata(tuple(seen.items()))
    context.set_trailing_metadata((("x-trailing", "last"), ("x-raw-bin", b"\x00\xff")))
    await asyncio.sleep(float(asked.get("x-delay", 0)))
    if "x-status" in asked:
        await context.abort(grpc.StatusCode[asked["x-status"]], "as asked\r\nfor")
    return asked


async def _serve(options):
    said = _said()

    async def say(asked, context):
        seen = await _meet(context)
        return said(text="x" * asked.number) if "x-large" in seen else asked

    async def count(asked, context):
        seen = await _meet(context)
        for number in range(asked.number or 1 << 30):
            yield said(number=number, small=number, text=asked.text)
            await asyncio.sleep(float(seen.get("x-every", 0.005)))

    async def add(messages, context):
        seen = await _meet(context)
        if "x-early" in seen:
            return said(text="early")
        total = [message.number async for message in messages]
        return said(number=sum(total), small=len(total))

    async def chat(messages, context):
        await _meet(context)
        async for message in messages:
            yield message

    def handler(kind, behaviour):
        return kind(behaviour, said.FromString, lambda message: message.SerializeToString())

    server = grpc.aio.server()
    handlers = {
        "Say": handler(grpc.unary_unary_rpc_method_handler, say),
        "Count": handler(grpc.unary_stream_rpc_method_handler, count),
        "Sum": handler(grpc.stream_unary_rpc_method_handler, add),
        "Chat": handler(grpc.stream_stream_rpc_method_handler, chat),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    _reflect(server, options.get("reflection", "v1alpha"))
    address = options.get("address", "127.0.0.1:0")
    port = (
        server.add_secure_port(address, _credentials(options))
        if "key" in options
        else server.add_insecure_port(address)
    )
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


def _credentials(options):
    read = {name: Path(options[name]).read_bytes() for name in ("key", "cert", "client_ca") if name in options}
    return grpc.ssl_server_credentials(
        [(read["key"], read["cert"])], read.get("client_ca"), require_client_auth="client_ca" in read
    )


def _reflect(server, version):
    names = (SERVICE, reflection.SERVICE_NAME)
    if version == "v1alpha":
        reflection.enable_server_reflection(names, server)
    elif version == "v1":  # the same messages under the newer name
        servicer = reflection.aio.ReflectionServicer(names)
        talk = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        name = "grpc.reflection.v1.ServerReflection"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": talk}),))


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}))
