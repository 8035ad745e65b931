"""Targets that take only requests that AWS's own signer, or httpx, would have signed alike, and whole runs over them."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from functools import partial

import pytest
import whole_kit as kit
from aiohttp import web
from aws_verifier import expected
from digest_guard import PASSWORD, USER, Guard
from http_peers import Peer

from loadgate_operator.embedded import Embedded

pytestmark = pytest.mark.processes

KEY = {"key_id": "AKIDLOAD", "secret": "not-to-be-seen-anywhere"}
HELD = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "aws", "namespace": "default"},
    "stringData": {"key": KEY["secret"], "session": "nor-is-this"},
}


@dataclass
class Gateway:
    """Answers 403 to what isn't signed for it."""

    service: str = "execute-api"
    seen: list[tuple[str, int]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request):
        """Signed, or health's own."""
        headers = list(request.headers.items())
        status = 200 if request.path == "/health" else 403
        if "Authorization" in request.headers:
            body = await request.read()
            how = {**KEY, "region": "eu-central-1", "service": self.service}
            agreed = expected(request.method, request.raw_path, headers, body, **how)
            status = 200 if agreed == request.headers["Authorization"] else 403
        self.seen.append((request.path, status))
        return web.Response(status=status)


@contextlib.asynccontextmanager
async def serving(gateway):
    """The gateway on a free port."""
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", gateway.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gateway.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    try:
        yield gateway
    finally:
        await runner.cleanup()


STEPS = [
    {"request": {"name": "list", "url": "/items/${vu.id}", "query": {"q": "a b+c/d", "page": "${iteration}"}}},
    {"request": {"name": "put", "method": "PUT", "url": "/it ems/ü".replace(" ", "%20"), "json": {"vu": "${vu.id}"}}},
    {"request": {"name": "health", "url": "/health", "auth": {"none": True}}},
]


@pytest.mark.parametrize("service", ["execute-api", "s3"])
async def test_a_run_whose_requests_are_all_signed(service):
    """Every request is taken, with a session's token, queries, encodings and bodies; a step that opts out isn't signed; no secret is anywhere."""
    gateway = Gateway(service)
    aws = {
        "region": "eu-central-1",
        "service": service,
        "accessKeyId": KEY["key_id"],
        "secretAccessKey": "${secret.key}",
        "sessionToken": "${secret.session}",
    }
    async with serving(gateway), Embedded() as operator:
        load = kit.scenario("shared-iterations", vus=3, iterations=12, maxDuration="20s", steps=STEPS)
        secrets = {name: {"secretKeyRef": {"name": "aws", "key": name}} for name in ("key", "session")}
        test = kit.load_test(gateway, load, secrets=secrets, thresholds={"http_req_failed": ["rate==0"]})
        test["spec"]["target"]["auth"] = {"awsSigV4": aws}
        status = await kit.run(operator, HELD, test)
        result = await operator.result(kit.KEY)
    assert status["phase"] == "Passed", (status, gateway.seen[:6])
    assert len(gateway.seen) == 36
    text = json.dumps(status) + json.dumps(result.to_json())
    assert KEY["secret"] not in text
    assert "nor-is-this" not in text


async def test_a_run_with_digest_authentication():
    """Two processes, each asked for itself; every request is a 200 or a 401 that was answered, each counts once, and none has failed."""
    guard = Guard(uses=20)
    server = await asyncio.start_server(partial(guard, Peer(None)), "127.0.0.1", 0)
    where = Gateway(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    held = {**HELD, "stringData": {"key": PASSWORD}}
    async with Embedded() as operator:
        load = kit.scenario("shared-iterations", vus=4, iterations=100, maxDuration="20s")
        secrets = {"key": {"secretKeyRef": {"name": "aws", "key": "key"}}}
        test = kit.load_test(where, load, processes=2, secrets=secrets, thresholds={"http_req_failed": ["rate==0"]})
        test["spec"]["target"]["auth"] = {"digest": {"username": USER, "password": "${secret.key}"}}
        status = await kit.run(operator, held, test)
        result = await operator.result(kit.KEY)
    server.close()
    assert status["phase"] == "Passed", status
    assert guard.seen.count("ok") == 100
    assert guard.seen.count("wrong") == 0
    assert not guard.repeated
    assert kit.counts(result)[:2] == (len(guard.seen), 0)
    assert guard.seen.count("new") <= 4
    assert 4 <= guard.seen.count("stale") <= 20
    assert PASSWORD not in json.dumps(status) + json.dumps(result.to_json())
