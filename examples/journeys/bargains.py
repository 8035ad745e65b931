"""Buys the cheapest of what it finds: a choice that takes a line of code, and so is no matter for steps."""

from typing import Any


async def journey(user: Any) -> None:
    """One customer's visit; each virtual user does it again and again."""
    reply = await user.post(
        "/auth/login",
        name="login",
        json={"email": f"user{user.id}@example.com", "password": user.secret.password},
    )
    if not user.check(reply, status=200, duration="<500ms", json={"$.token": "exists"}):
        return
    token = reply.json("$.token")
    await user.think("100ms..300ms")

    page = user.random.randrange(0, 40, 10)
    reply = await user.get("/products", name="products", query={"limit": 10, "offset": page})
    products = reply.json("$.products", default=[])
    if not user.check(reply, status=200, finds_something=bool(products)):
        return
    cheapest = min(products, key=lambda product: product["price"])
    user.metrics.trend("cheapest_price").add(cheapest["price"])
    await user.think("100ms..300ms")

    with user.group("checkout"):
        item = {"productId": cheapest["id"], "quantity": 1}
        reply = await user.post("/cart", name="add to cart", json=item, auth=token)
        user.check(reply, status=201, total=lambda cart: cart.json("$.total") == cheapest["price"])
        reply = await user.post("/checkout", name="checkout", auth=token)
        user.check(reply, status=201, json={"$.status": "confirmed"})
