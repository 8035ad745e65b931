"""The shop's routes over aiohttp; everything it knows lives in one `Shop` that the handlers share."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from aiohttp import web

from shop import catalogue
from shop.faults import Faults
from shop.sessions import CartFull, Session, Sessions
from shop.telemetry import Telemetry

MAX_BODY = 64 * 1024
_QUIET = {"/health", "/metrics", "/faults"}
"""Routes that answer whatever the switches say: one has to see and end a fault."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Shop:
    """What the handlers share."""

    faults: Faults = field(default_factory=Faults)
    sessions: Sessions = field(default_factory=Sessions)
    telemetry: Telemetry = field(default_factory=Telemetry)
    opened: float = field(default_factory=time.monotonic)
    orders: int = 0


SHOP = web.AppKey("shop", Shop)


def build(shop: Shop) -> web.Application:
    """The application, ready to be served."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_observe, _misbehave])
    app[SHOP] = shop
    app.add_routes(
        [
            web.get("/", home),
            web.get("/health", health),
            web.get("/metrics", metrics),
            web.post("/auth/login", login),
            web.get("/products", products),
            web.get("/products/{id}", product),
            web.get("/cart", view_cart),
            web.post("/cart", add_to_cart),
            web.post("/checkout", checkout),
            web.get("/faults", show_faults),
            web.post("/faults", set_faults),
        ]
    )
    return app


@web.middleware
async def _observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    started = time.perf_counter()
    status = 500
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"
        request.app[SHOP].telemetry.answered(request.method, route, status, time.perf_counter() - started)
    return response


@web.middleware
async def _misbehave(request: web.Request, handler: Handler) -> web.StreamResponse:
    shop = request.app[SHOP]
    if request.path not in _QUIET:
        if delay := shop.faults.delay(time.monotonic() - shop.opened):
            await asyncio.sleep(delay)
        if shop.faults.fails():
            _refuse(web.HTTPServiceUnavailable, "the shop is out of order")
    return await handler(request)


def _refuse(kind: type[web.HTTPException], message: str) -> NoReturn:
    raise kind(text=json.dumps({"error": message}), content_type="application/json")


async def _body(request: web.Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        _refuse(web.HTTPBadRequest, "the body is not JSON")


async def _object(request: web.Request) -> dict[str, Any]:
    body = await _body(request)
    if not isinstance(body, dict):
        _refuse(web.HTTPBadRequest, "the body is not a JSON object")
    return body


def _session(request: web.Request) -> Session:
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    session = request.app[SHOP].sessions.find(token)
    if session is None:
        _refuse(web.HTTPUnauthorized, "log in at POST /auth/login and send its token as a bearer")
    return session


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text[:9]) > most:
        _refuse(web.HTTPBadRequest, f"{name} is a number from 0 to {most}")
    return int(text)


async def home(_request: web.Request) -> web.Response:
    """The front page: the only HTML of the shop."""
    rows = "".join(f"<li>{item['name']} {item['price'] / 100:.2f}</li>" for item in catalogue.page(12, 0))
    return web.Response(
        text=f"<!doctype html><title>Shop</title><h1>Shop</h1><ul>{rows}</ul>", content_type="text/html"
    )


async def health(_request: web.Request) -> web.Response:
    """Alive."""
    return web.json_response({"status": "ok"})


async def metrics(request: web.Request) -> web.Response:
    """The Prometheus exposition."""
    shop = request.app[SHOP]
    return web.Response(body=shop.telemetry.render(len(shop.sessions)), headers={"Content-Type": "text/plain"})


async def login(request: web.Request) -> web.Response:
    """Any address with any password is a user of this shop."""
    body = await _object(request)
    email, password = body.get("email"), body.get("password")
    if not isinstance(email, str) or not 3 <= len(email) <= 254 or "@" not in email:
        _refuse(web.HTTPBadRequest, "email is not an address")
    if not isinstance(password, str) or not password:
        _refuse(web.HTTPUnauthorized, "the password is missing")
    session = request.app[SHOP].sessions.open(email)
    return web.json_response({"token": session.token, "user": session.user})


async def products(request: web.Request) -> web.Response:
    """A page of the catalogue."""
    limit, offset = _number(request, "limit", 20, 100), _number(request, "offset", 0, 10_000)
    return web.json_response({"products": catalogue.page(limit, offset), "total": len(catalogue.PRODUCTS)})


def _product(product_id: object) -> catalogue.Product:
    found = catalogue.find(product_id) if isinstance(product_id, str) else None
    if found is None:
        _refuse(web.HTTPNotFound, "no such product")
    return found


async def product(request: web.Request) -> web.Response:
    """One product."""
    return web.json_response(asdict(_product(request.match_info["id"])))


def _cart_of(session: Session) -> dict[str, Any]:
    lines = [{"productId": name, "quantity": quantity} for name, quantity in session.cart.items()]
    total = sum(catalogue.PRODUCTS[name].price * quantity for name, quantity in session.cart.items())
    return {"items": lines, "total": total}


async def view_cart(request: web.Request) -> web.Response:
    """The user's cart."""
    return web.json_response(_cart_of(_session(request)))


async def add_to_cart(request: web.Request) -> web.Response:
    """Put something into the cart."""
    session, body = _session(request), await _object(request)
    found = _product(body.get("productId"))
    quantity = body.get("quantity", 1)
    if isinstance(quantity, str) and quantity.isascii() and quantity.isdigit() and len(quantity) < 9:
        quantity = int(quantity)
    if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 1:
        _refuse(web.HTTPBadRequest, "quantity is a number from 1")
    try:
        session.add(found.id, quantity)
    except CartFull as error:
        _refuse(web.HTTPConflict, str(error))
    return web.json_response(_cart_of(session), status=201)


async def checkout(request: web.Request) -> web.Response:
    """Buy what is in the cart."""
    shop, session = request.app[SHOP], _session(request)
    total = _cart_of(session)["total"]
    if not session.check_out():
        _refuse(web.HTTPConflict, "the cart is empty")
    shop.orders += 1
    shop.telemetry.ordered()
    return web.json_response({"orderId": f"o-{shop.orders}", "total": total, "status": "confirmed"}, status=201)


async def show_faults(request: web.Request) -> web.Response:
    """What the switches say."""
    return web.json_response(request.app[SHOP].faults.to_json())


async def set_faults(request: web.Request) -> web.Response:
    """Set all switches at once; one that isn't named is off."""
    shop = request.app[SHOP]
    try:
        shop.faults = Faults.from_json(await _body(request))
    except ValueError as error:
        _refuse(web.HTTPBadRequest, str(error))
    return web.json_response(shop.faults.to_json())
