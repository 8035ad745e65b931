"""The routes of the live prices, over aiohttp."""

import asyncio
import contextlib
import itertools
import json
import time

from aiohttp import web

from live.graph import operate
from shop import catalogue

_SHORTEST = 0.001


def build() -> web.Application:
    """The application, ready to be served."""
    app = web.Application(client_max_size=64 * 1024)
    app.add_routes([web.post("/graphql", graphql), web.get("/prices", prices), web.get("/orders", orders)])
    return app


async def graphql(request: web.Request) -> web.Response:
    """One GraphQL operation. As the specification of GraphQL over HTTP has it, `application/json` is always a 200."""
    asked = await request.json()
    return web.json_response(await operate(asked["query"], asked.get("variables"), asked.get("operationName")))


async def prices(request: web.Request) -> web.StreamResponse:
    """A stream of events: a `price` each `every` seconds, and after `count` of them (0: never) a `closed`."""
    every = max(_SHORTEST, float(request.query.get("every", "0.1")))
    count = int(request.query.get("count", "0"))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):  # whoever listens goes when they like
        for number in itertools.count(1):
            await response.write(f"event: price\nid: {number}\ndata: {_price(number)}\n\n".encode())
            if number == count:
                break
            await asyncio.sleep(every)
        await response.write(b"event: closed\ndata: the market is closed\n\n")
    return response


async def orders(request: web.Request) -> web.WebSocketResponse:
    """A WebSocket: each order, `{"product": …, "quantity": …}`, is answered with its number and its price."""
    socket = web.WebSocketResponse(protocols=("orders",), max_msg_size=64 * 1024)
    await socket.prepare(request)
    await socket.send_json({"type": "welcome"})
    numbers = itertools.count(1)
    async for message in socket:
        try:
            asked = json.loads(message.data)
            found, quantity = catalogue.find(asked["product"]), int(asked["quantity"])
        except (ValueError, TypeError, LookupError):
            found, quantity = None, 0
        if found is None:
            await socket.send_json({"type": "refused"})
            continue
        await socket.send_json({"type": "received"})
        await socket.send_json({"type": "confirmed", "order": next(numbers), "total": found.price * quantity})
    return socket


def _price(number: int) -> str:
    found = list(catalogue.PRODUCTS.values())[number % len(catalogue.PRODUCTS)]
    return json.dumps({"product": found.id, "price": found.price + number % 7, "at": time.time()})
