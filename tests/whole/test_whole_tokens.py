"""A target that wants a token, an authorisation server that gives it, and a whole run over both."""

import contextlib
import json
from dataclasses import dataclass, field

import pytest
import whole_kit as kit
from aiohttp import web

from loadgate_operator.embedded import Embedded

pytestmark = pytest.mark.processes

SECRET = "not-to-be-seen-anywhere"
HELD = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "idp", "namespace": "default"},
    "stringData": {"client": SECRET},
}


@dataclass
class Shop:
    """Gives tokens that live `life` seconds, at most `most` of them, and answers 401 to requests without a live one."""

    life: float = 3600
    most: int = 10_000
    given: list[str] = field(default_factory=list)
    url: str = ""

    async def token(self, request):
        """The authorisation server."""
        if request.headers.get("Authorization") != "Basic bG9hZDpub3QtdG8tYmUtc2Vlbi1hbnl3aGVyZQ==":
            return web.json_response({"error": "invalid_client", "error_description": SECRET}, status=401)
        if len(self.given) >= self.most:
            return web.json_response({}, status=503)
        self.given.append(f"token-of-this-run-{len(self.given)}")
        return web.json_response({"access_token": self.given[-1], "token_type": "bearer", "expires_in": self.life})

    async def home(self, request):
        """The target: only the two newest tokens are taken."""
        known = [f"Bearer {token}" for token in self.given[-2:]]
        return web.Response(status=200 if request.headers.get("Authorization") in known else 401)


@contextlib.asynccontextmanager
async def serving(shop):
    """The shop on a free port."""
    app = web.Application()
    app.router.add_post("/token", shop.token)
    app.router.add_get("/", shop.home)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    shop.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    try:
        yield shop
    finally:
        await runner.cleanup()


def asking(shop, *scenarios, client="load", token_url=None, **spec):
    """A LoadTest with the shop's token."""
    test = kit.load_test(
        shop, *scenarios, secrets={"client": {"secretKeyRef": {"name": "idp", "key": "client"}}}, **spec
    )
    oauth2 = {"tokenUrl": token_url or f"{shop.url}/token", "clientId": client, "clientSecret": "${secret.client}"}
    test["spec"]["target"]["auth"] = {"oauth2": oauth2}
    return test


async def whole(shop, *scenarios, **more):
    """Run it; the status, the result, and everything that was kept as one text."""
    async with serving(shop), Embedded() as operator:
        status = await kit.run(operator, HELD, asking(shop, *scenarios, **more))
        result = await operator.result(kit.KEY)
    return status, result, json.dumps(status) + json.dumps(result.to_json())


async def test_all_virtual_users_share_a_token_that_is_renewed():
    """Tokens of two seconds, renewed under way: no request is refused, and each process asks for its own, few times."""
    shop = Shop(life=2)
    load = kit.scenario("constant-vus", vus=5, duration="4s", steps=[kit.get("/"), {"think": "20ms"}])
    status, result, text = await whole(shop, load, thresholds={"http_req_failed": ["rate==0"]})
    assert status["phase"] == "Passed", status
    assert 3 <= len(shop.given) <= 8
    assert kit.counts(result)[0] > 50
    assert SECRET not in text
    assert "token-of-this-run" not in text


async def test_without_a_token_there_is_no_load():
    """A client that isn't known: Inconclusive, with what the server said and what to change, and without the secret."""
    shop = Shop()
    status, result, text = await whole(shop, client="nobody")
    assert status["phase"] == "Inconclusive", status
    assert kit.doubts(status) == ["ArmingFailed"]
    message = status["doubts"][0]["message"]
    assert "no token for the target: http://127.0.0.1:" in message
    assert "answered 401 (invalid_client: ***)" in message
    assert "see to tokenUrl, clientId and the secrets" in message
    assert kit.counts(result)[0] == 0
    assert SECRET not in text


async def test_a_token_that_cannot_be_renewed_makes_the_run_inconclusive():
    """What the target refuses then is no fault of its own, so no limit is said to be broken."""
    shop = Shop(life=1, most=1)
    load = kit.scenario("constant-vus", vus=1, duration="4s", steps=[kit.get("/"), {"think": "50ms"}])
    status, _, _ = await whole(shop, load, thresholds={"http_reqs": ["count>1"]})
    assert status["phase"] == "Inconclusive", status
    assert kit.doubts(status) == ["TokenLapsed"]
    assert "answered 503" in status["doubts"][0]["message"]
