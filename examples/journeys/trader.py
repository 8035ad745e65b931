"""Watches prices that are pushed, and orders over gRPC: conversations whose course takes a line of code."""

import os
from typing import Any

CALLS = os.environ["PRICES_CALLS"]


async def journey(user: Any) -> None:
    """One trader's turn: the best of some prices, asked for anew, and ordered until that is enough."""
    best: dict[str, Any] = {}
    async with user.sse("/prices", name="prices", query={"every": 0.01}, for_="2s") as events:
        async for event in events:
            price = event.json()
            if not best or price["price"] < best["price"]:
                best = price
            if int(event.id) == 20:
                break
    if not user.check(events.reply, status=200, found_one=bool(best)):
        return
    await user.think("20ms..50ms")

    with user.group("order"):
        reply = await user.grpc(
            "live.v1.Prices/Get", {"product": best["product"]}, url=CALLS, name="price", timeout="2s"
        )
        if not user.check(reply, status="OK", json={"$.price": ">0"}):
            return
        async with user.grpc("live.v1.Prices/Trade", url=CALLS, name="trade") as call:
            spent = 0
            while spent < 5 * reply.message["price"]:
                await call.write({"product": best["product"], "quantity": user.random.randint(1, 3)})
                confirmed = await call.expect(json={"$.total": "exists"}, within="2s")
                spent += int(confirmed["total"])  # of 64 bits, so protobuf's JSON has it as a text
        user.check(call.reply, status="OK")
        user.metrics.trend("spent").add(spent)
