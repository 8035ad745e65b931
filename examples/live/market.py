"""The prices over gRPC, with grpc.aio: messages by descriptors, so that nothing is generated."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, timestamp_pb2
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection

from shop import catalogue

_SHORTEST: Final = 0.001
_PROTOSET: Final = Path(__file__).parents[1] / "live-data" / "prices.binpb"
_OWN: Final = "prices.proto"
SERVICE: Final = "live.v1.Prices"


def _messages() -> dict[str, Any]:
    """The classes of the messages, by name. They go into the pool that reflection reads."""
    files = descriptor_pb2.FileDescriptorSet.FromString(_PROTOSET.read_bytes())
    pool = Default()
    for file in files.file:
        if file.name == _OWN:  # what it imports came with timestamp_pb2
            pool.Add(file)
    found = pool.FindFileByName(_OWN).message_types_by_name
    return {name: GetMessageClass(descriptor) for name, descriptor in found.items()}


_IMPORTED: Final = timestamp_pb2
_OF: Final = _messages()


async def serve(host: str, port: int) -> Any:
    """A server that has begun. Raises OSError or RuntimeError where the port isn't to be had."""
    server = grpc.aio.server()
    kinds = {
        "Get": (grpc.unary_unary_rpc_method_handler, get, "GetRequest"),
        "Watch": (grpc.unary_stream_rpc_method_handler, watch, "WatchRequest"),
        "Order": (grpc.stream_unary_rpc_method_handler, order, "Line"),
        "Trade": (grpc.stream_stream_rpc_method_handler, trade, "Line"),
    }
    handlers = {
        name: kind(behaviour, _OF[takes].FromString, lambda message: message.SerializeToString())
        for name, (kind, behaviour, takes) in kinds.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), server)
    server.add_insecure_port(f"{host}:{port}")
    await server.start()
    return server


async def get(asked: Any, context: Any) -> Any:
    """One price."""
    found = catalogue.find(asked.product)
    if found is None:
        await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no product {asked.product}")
        raise _aborted()
    return _price(found, 0)


async def watch(asked: Any, _context: Any) -> AsyncIterator[Any]:
    """Prices of one product after another."""
    products = list(catalogue.PRODUCTS.values())
    for number in itertools.count(1):
        yield _price(products[number % len(products)], number)
        if number == asked.count:
            return
        await asyncio.sleep(max(_SHORTEST, asked.every))


async def order(lines: AsyncIterator[Any], context: Any) -> Any:
    """The sum of all lines."""
    totals = [await _total(line, context) async for line in lines]
    return _OF["Receipt"](lines=len(totals), total=sum(totals))


async def trade(lines: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
    """A confirmation of each line."""
    numbers = itertools.count(1)
    async for line in lines:
        yield _OF["Confirmation"](order=next(numbers), total=await _total(line, context))


async def _total(line: Any, context: Any) -> int:
    found = catalogue.find(line.product)
    if found is None:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"there is no product {line.product}")
        raise _aborted()
    return found.price * int(line.quantity)


def _aborted() -> AssertionError:
    return AssertionError("an aborted call goes no further")


def _price(product: catalogue.Product, number: int) -> Any:
    price = _OF["Price"](product=product.id, price=product.price + number % 7)
    price.at.GetCurrentTime()
    return price
