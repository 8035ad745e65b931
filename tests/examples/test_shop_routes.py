"""The shop over its own routes."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from shop.app import SHOP, Shop, build
from shop.faults import Faults
from shop.sessions import MAX_LINES, Sessions


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    """A client of a healthy shop."""
    async with TestClient(TestServer(build(Shop()))) as open_client:
        yield open_client


async def log_in(client: TestClient, email: str = "user1@example.com") -> dict[str, str]:
    """The headers of a user who has logged in."""
    answer = await client.post("/auth/login", json={"email": email, "password": "pw"})
    assert answer.status == 200
    return {"Authorization": f"Bearer {(await answer.json())['token']}"}


async def test_whole_journey_of_a_customer(client: TestClient):
    """A user logs in, browses, fills a cart and buys what is in it."""
    headers = await log_in(client)
    listed = await (await client.get("/products?limit=3")).json()
    assert [item["id"] for item in listed["products"]] == ["p1", "p2", "p3"]
    assert (await (await client.get("/products/p2")).json())["id"] == "p2"
    added = await client.post("/cart", json={"productId": "p2", "quantity": 2}, headers=headers)
    assert added.status == 201
    cart = await (await client.get("/cart", headers=headers)).json()
    assert cart["items"] == [{"productId": "p2", "quantity": 2}]
    bought = await client.post("/checkout", headers=headers)
    assert (bought.status, (await bought.json())["total"]) == (201, cart["total"])
    assert (await (await client.get("/cart", headers=headers)).json())["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/auth/login", {"email": "nobody", "password": "x"}, 400),
        ("POST", "/auth/login", {"email": "a@b.c"}, 401),
        ("POST", "/auth/login", [1], 400),
        ("GET", "/cart", None, 401),
        ("POST", "/checkout", None, 401),
        ("GET", "/products/none", None, 404),
        ("GET", "/products?limit=1000", None, 400),
        ("GET", "/products?limit=-1", None, 400),
        ("GET", "/nothing", None, 404),
        ("POST", "/faults", {"latency": -1}, 400),
        ("POST", "/faults", {"latency": True}, 400),
        ("POST", "/faults", {"nonsense": 1}, 400),
        ("POST", "/faults", [], 400),
    ],
)
async def test_bad_requests_are_refused(client: TestClient, method: str, path: str, body: object, status: int):
    """What the shop can't do is refused with the fitting status."""
    assert (await client.request(method, path, json=body)).status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"productId": "p1", "quantity": 0}, 400),
        ({"productId": "p1", "quantity": "many"}, 400),
        ({"productId": "p1", "quantity": "3"}, 201),
        ({"productId": 7}, 404),
        ({"productId": "p1", "quantity": 100_000}, 409),
    ],
)
async def test_what_a_cart_takes(client: TestClient, body: object, status: int):
    """Quantities are bounded numbers of known products."""
    headers = await log_in(client)
    assert (await client.post("/cart", json=body, headers=headers)).status == status


async def test_empty_cart_cannot_be_bought(client: TestClient):
    """Checking out nothing is a conflict."""
    assert (await client.post("/checkout", headers=await log_in(client))).status == 409


async def test_a_body_that_is_too_large_is_refused(client: TestClient):
    """A request may not fill the shop's memory."""
    assert (await client.post("/auth/login", data=b"[" * 100_000)).status == 413


async def test_faults_are_set_while_it_runs(client: TestClient):
    """POST /faults makes pages fail, leaves health alone, and can be undone."""
    await client.post("/faults", json={"error_rate": 1})
    assert (await client.get("/")).status == 503
    assert (await client.get("/health")).status == 200
    assert (await (await client.get("/faults")).json())["error_rate"] == 1
    await client.post("/faults", json={})
    assert (await client.get("/")).status == 200


def test_latency_is_added():
    """A slow shop answers later, by what the switch says give or take a fifth."""
    faults = Faults(latency=2.0)
    assert all(1.6 <= faults.delay(0) <= 2.4 for _ in range(200))


@pytest.mark.parametrize(("now", "delay"), [(0, 0), (6.9, 0), (7, 3), (8.5, 1.5), (10, 0), (17, 3)])
def test_stalls_come_in_turns(now: float, delay: float):
    """A stall holds every request until it is over, and what comes between is quick."""
    assert Faults(stall_every=10, stall_for=3).delay(now) == pytest.approx(delay)


async def test_metrics_count_by_route_pattern(client: TestClient):
    """Paths with ids are one route in the metrics, so that their number stays small."""
    for number in range(1, 4):
        await client.get(f"/products/p{number}")
    await client.get("/no/such/page")
    text = await (await client.get("/metrics")).text()
    assert 'shop_http_requests_total{method="GET",route="/products/{id}",status="200"} 3.0' in text
    assert 'route="unknown",status="404"' in text


def test_oldest_sessions_are_forgotten():
    """However many log in, memory is bounded, and who was seen last stays."""
    sessions = Sessions(limit=3)
    first, *others = [sessions.open(f"u{number}@x") for number in range(3)]
    assert sessions.find(first.token) is first
    sessions.open("late@x")
    assert len(sessions) == 3
    assert sessions.find(others[0].token) is None
    assert sessions.find(first.token) is first


async def test_a_cart_has_so_many_lines():
    """A cart can't grow without end."""
    session = Sessions().open("a@b")
    for number in range(MAX_LINES):
        session.add(f"p{number}", 1)
    with pytest.raises(Exception, match="at most"):
        session.add("another", 1)


async def test_application_carries_its_shop(client: TestClient):
    """Two applications don't share state."""
    other = build(Shop())
    assert client.app is not None
    assert client.app[SHOP] is not other[SHOP]
