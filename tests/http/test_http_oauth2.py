"""Asking for a token, against a real server on loopback: what goes out, and what every answer comes to."""

import asyncio
import contextlib
import json
from base64 import b64encode
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from loadgate.plan.targets import Targets
from loadgate_runner.http import Gate, Network, Options
from loadgate_runner.http.oauth2 import LONGEST_LIFE, Grant, TokenEndpoint, TokenError

GOOD = {"access_token": "abc.def-1", "token_type": "Bearer", "expires_in": 60}


class Server:
    """An authorisation server that answers as it is told."""

    def __init__(self):
        self.status, self.body = 200, json.dumps(GOOD)
        self.seen = []

    async def handle(self, request):
        """One request."""
        self.seen.append((request.method, request.path_qs, dict(request.headers), parse_qsl(await request.text())))
        return web.Response(status=self.status, text=self.body, content_type="application/json")


@contextlib.asynccontextmanager
async def serving(gate=None):
    """A server, its URL, and what asks it."""
    server, app = Server(), web.Application()
    app.router.add_route("*", "/token", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/token"
    network = Network(gate=gate)
    try:
        yield server, url, TokenEndpoint(network, Options())
    finally:
        network.close()
        await runner.cleanup()


async def test_client_credentials_go_as_rfc_6749_has_them():
    """A form with the grant; id and secret, form-encoded each, in `Authorization: Basic`."""
    async with serving() as (server, url, endpoint):
        token = await endpoint.ask(
            Grant(f"{url}?tenant=a", "my id", "p:w+d", scopes=("read", "write"), audience="shop")
        )
    assert (token.value, token.life, token.refresh) == ("abc.def-1", 60.0, "")
    [(method, path, headers, form)] = server.seen
    assert (method, path) == ("POST", "/token?tenant=a")
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["Accept"] == "application/json"
    assert headers["Authorization"] == "Basic " + b64encode(b"my+id:p%3Aw%2Bd").decode()
    assert sorted(form) == [("audience", "shop"), ("grant_type", "client_credentials"), ("scope", "read write")]


async def test_credentials_in_the_form_and_a_refresh_token():
    """Where the server wants them there, and for a public client, which has no secret."""
    async with serving() as (server, url, endpoint):
        await endpoint.ask(Grant(url, "id", "secret", in_body=True))
        await endpoint.ask(Grant(url, "id", refresh="r0"))
    (_, _, first_headers, first), (_, _, second_headers, second) = server.seen
    assert dict(first) == {"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret"}
    assert dict(second) == {"grant_type": "refresh_token", "client_id": "id", "refresh_token": "r0"}
    assert "Authorization" not in first_headers.keys() | second_headers.keys()


@pytest.mark.parametrize(
    ("expires_in", "life"),
    [(60, 60.0), ("3600", 3600.0), (1.5, 1.5), (0, 0.0), (-1, None), (None, None), (True, None), ("soon", None), ([], None), (10**30, LONGEST_LIFE), ("9" * 400, LONGEST_LIFE)],
)  # fmt: skip
async def test_how_long_a_token_lives(expires_in, life):
    """A number of seconds, also as text, within bounds; what is none says nothing."""
    async with serving() as (server, url, endpoint):
        server.body = json.dumps({**GOOD, "expires_in": expires_in})
        assert (await endpoint.ask(Grant(url, "id", "secret"))).life == life


REFUSALS = [
    (401, {"error": "invalid_client", "error_description": "no\nsuch client"}, "answered 401 (invalid_client: no such client)", True),
    (400, {"error": "invalid_scope"}, "answered 400 (invalid_scope)", True),
    (403, {}, "answered 403", True),
    (429, {}, "answered 429", False),
    (503, {"error": ["x"]}, "answered 503", False),
    (302, {}, "answered 302", False),
    (200, {}, "without an access_token", True),
    (200, [1], "without an access_token", True),
    (200, {**GOOD, "access_token": "a b"}, "without an access_token", True),
    (200, {**GOOD, "access_token": "a\r\nX: y"}, "without an access_token", True),
    (200, {**GOOD, "access_token": "a" * 40_000}, "without an access_token", True),
    (200, {**GOOD, "token_type": "mac"}, "of the type 'mac'", True),
    (200, {"access_token": "a"}, "of the type 'None'", True),
]  # fmt: skip


@pytest.mark.parametrize(("status", "document", "said", "final"), REFUSALS)
async def test_an_answer_without_a_token_says_why(status, document, said, final):
    """What the server says is told in short; a refusal is final, trouble isn't; nothing of what was sent is in it."""
    async with serving() as (server, url, endpoint):
        server.status, server.body = status, json.dumps(document)
        with pytest.raises(TokenError) as raised:
            await endpoint.ask(Grant(f"{url}?key=hidden", "id", "s3cret", refresh="r3fresh"))
    assert said in str(raised.value)
    assert raised.value.final is final
    assert not any(word in str(raised.value) for word in ("s3cret", "r3fresh", "hidden"))
    assert len(str(raised.value)) < 400


async def test_what_is_no_json_is_no_token():
    """A page of HTML with status 200 is a failure like any other."""
    async with serving() as (server, url, endpoint):
        server.body = "<html>"
        with pytest.raises(TokenError, match="without an access_token"):
            await endpoint.ask(Grant(url, "id", "secret"))


async def test_a_server_that_is_not_there_can_be_asked_again():
    """A refused connection is a failure that isn't final."""
    probe = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()
    network = Network()
    with pytest.raises(TokenError) as raised:
        await TokenEndpoint(network, Options()).ask(Grant(f"http://127.0.0.1:{port}/token", "id", "secret"))
    network.close()
    assert not raised.value.final


async def test_a_token_is_asked_for_only_where_load_may_go():
    """The platform's rules hold for the token endpoint: no connection is tried elsewhere, and that is final."""
    gate = Gate(Targets(["10.0.0.0/8"]))
    async with serving(gate) as (server, url, endpoint):
        with pytest.raises(TokenError, match="load may not go to") as raised:
            await endpoint.ask(Grant(url, "id", "secret"))
    assert raised.value.final
    assert (server.seen, gate.denied) == ([], 1)
