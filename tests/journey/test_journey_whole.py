"""Journeys over real connections: steps and a script give the same requests and the same samples."""

import asyncio
import time

import orjson
import pytest
from journey_samples import MemoryRecorder, MemoryTally, plan_of, steps_of

from loadgate.plan.document import PlanConnection, PlanData, PlanTarget, PlanTimeouts
from loadgate_runner.http import Client, Network
from loadgate_runner.journey import Context, Outcome, compile_scenario, run_block


class Shop:
    """A tiny shop that notes what was asked of it."""

    def __init__(self):
        self.seen = []

    async def serve(self, reader, writer):
        """One connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                method, path, _ = lines[0].split()
                self.seen.append((method, path, body, fields.get("authorization"), fields.get("cookie")))
                writer.write(self.answer(path))
        except asyncio.IncompleteReadError:
            writer.close()

    def answer(self, path):
        """By path."""
        if path == "/login":
            return self.wire(200, {"token": "t0", "user": {"id": 7}}, "Set-Cookie: sid=s1; Path=/")
        if path == "/old":
            return self.wire(302, {}, "Location: /new")
        if path == "/products":
            return self.wire(200, {"products": [{"id": 1}, {"id": 2}]})
        return self.wire(201 if path == "/cart" else 200, {"path": path})

    @staticmethod
    def wire(status, document, *headers):
        """Bytes."""
        body = orjson.dumps(document)
        lines = [f"HTTP/1.1 {status} OK", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
async def shop():
    """A served shop and its URL."""
    shop = Shop()
    server = await asyncio.start_server(shop.serve, "127.0.0.1", 0)
    yield shop, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


STEPS = [
    {
        "request": {
            "name": "login",
            "method": "POST",
            "url": "/login",
            "json": {"email": "user${vu.id}@example.com", "password": "${secret.password}"},
        },
        "check": {"status": 200, "duration": "<5s", "json": {"$.user.id": "exists"}},
        "extract": {"token": {"json": "$.token"}, "sid": {"cookie": "sid"}},
    },
    {"think": "1ms..2ms"},
    {"request": {"name": "old", "url": "/old"}, "check": {"json": {"$.path": "/new"}}},
    {
        "request": {"name": "products", "url": "/products", "headers": {"Authorization": "Bearer ${token}"}},
        "extract": {"product": {"json": "$.products[*].id", "pick": "last"}},
    },
    {
        "group": {
            "name": "buy",
            "steps": [
                {
                    "request": {
                        "name": "add",
                        "method": "POST",
                        "url": "/cart",
                        "json": {"productId": "${product}", "sku": "${data.skus.sku}"},
                    },
                    "check": {"status": 201},
                }
            ],
        }
    },
]
SCRIPT = """
async def journey(user):
    r = await user.post("/login", name="login",
                        json={"email": f"user{user.id}@example.com", "password": user.secret.password})
    user.check(r, status=200, duration="<5s", json={"$.user.id": "exists"})
    user.check(r, {"extract token": r.json("$.token") is not None, "extract sid": "sid" in r.cookies})
    await user.think("1ms..2ms")
    old = await user.get("/old", name="old")
    user.check(old, json={"$.path": "/new"})
    products = await user.get("/products", name="products", auth=r.json("$.token"))
    user.check(products, {"extract product": True})
    with user.group("buy"):
        product = products.json()["products"][-1]["id"]
        added = await user.post("/cart", name="add", json={"productId": product, "sku": user.data.skus["sku"]}, status=201)
        user.check(added, status=201)
"""


async def iterate(plan, files, times=2):
    """Do some iterations with one virtual user, over real connections."""
    network = Network(loop=asyncio.get_running_loop())
    recorder = MemoryRecorder()

    async def sleep(seconds):
        await asyncio.sleep(seconds)
        return True

    log = []
    context = Context(
        run="r", runner_index=0, files=files, environ={"PW": "pw"}, recorder=recorder, clock=time.perf_counter_ns,
        sleep=sleep, client=lambda: Client(network), log=log.append,
    )  # fmt: skip
    vu = compile_scenario(plan.scenarios[0], plan, context).new_vu(7, MemoryTally())
    due = time.perf_counter_ns()
    outcomes = [await vu.iterate(number, due) for number in range(times)]
    await vu.close()
    setup = await run_block("setup", steps_of(*STEPS[:1]), plan, context)
    network.close()
    return outcomes, recorder, setup, log


@pytest.mark.parametrize("kind", ["steps", "script"])
async def test_a_whole_journey_is_sent_checked_and_recorded(shop, tmp_path, kind):
    """With redirects, cookies, extraction, data and secrets; the same whether steps or Python."""
    served, url = shop
    (tmp_path / "j.py").write_text(SCRIPT)
    fields = {
        "target": PlanTarget(url=url, timeouts=PlanTimeouts(total=5)),
        "secrets": {"password": "PW"},
        "data": {"skus": PlanData(order="sequential", rows=[{"sku": "a1"}, {"sku": "b2"}])},
    }
    plan = plan_of(*STEPS, **fields) if kind == "steps" else plan_of(script="j.py", **fields)
    outcomes, recorder, setup, log = await iterate(plan, tmp_path)
    assert outcomes == [Outcome.COMPLETED] * 2, log
    login = ("POST", "/login", b'{"email":"user7@example.com","password":"pw"}', None, None)
    cookie = "sid=s1"
    assert served.seen[:10] == [
        request
        for sku in ("a1", "b2")
        for request in (
            login,
            ("GET", "/old", b"", None, cookie),
            ("GET", "/new", b"", None, cookie),
            ("GET", "/products", b"", "bearer t0", cookie),
            ("POST", "/cart", b'{"productId":2,"sku":"%s"}' % sku.encode(), None, cookie),
        )
    ]
    assert all(all(results) for results in recorder.checks().values())
    assert {name: len(results) for name, results in recorder.checks().items()} == {
        "status is 200": 2, "duration <5s": 2, "json $.user.id exists": 2, "extract token": 2, "extract sid": 2,
        "json $.path is /new": 2, "extract product": 2, "status is 201": 2,
    }  # fmt: skip
    records = recorder.requests()
    assert {name: [(response.status, expected) for response, expected, _ in found] for name, found in records.items()} == {
        "login": [(200, True)] * 2, "old": [(302, True), (200, True)] * 2, "products": [(200, True)] * 2, "add": [(201, True)] * 2,
    }  # fmt: skip
    assert all(response.ended - due >= response.ended - response.started > 0 for response, _, due in records["login"])
    assert {due for name in ("old", "products", "add") for _, _, due in records[name]} == {None}
    assert setup == {"token": "t0", "sid": "s1"}


@pytest.mark.parametrize("kind", ["steps", "script"])
@pytest.mark.parametrize(
    ("reuse", "logins", "others"), [("always", [False, True], True), ("iteration", [False] * 2, True), ("never", [False] * 2, False)]
)  # fmt: skip
async def test_connections_are_reused_as_far_as_the_target_says(shop, tmp_path, kind, reuse, logins, others):
    """By all requests, by those of one iteration, or by none; the same whether steps or Python."""
    _, url = shop
    (tmp_path / "j.py").write_text(SCRIPT)
    fields = {
        "target": PlanTarget(url=url, timeouts=PlanTimeouts(total=5), connection=PlanConnection(reuse=reuse)),
        "secrets": {"password": "PW"},
        "data": {"skus": PlanData(order="sequential", rows=[{"sku": "a1"}, {"sku": "b2"}])},
    }
    plan = plan_of(*STEPS, **fields) if kind == "steps" else plan_of(script="j.py", **fields)
    _, recorder, _, _ = await iterate(plan, tmp_path)
    reused = {name: [response.reused for response, _, _ in found] for name, found in recorder.requests().items()}
    assert reused["login"] == logins
    assert {*reused["products"], *reused["add"]} == {others}
