"""Who the operator is to the API server: read anew in time, whatever the machine's clock says, and never in a loop."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from loadgate_operator.cluster.kubernetes import Api, Connection, connect
from loadgate_operator.cluster.kubernetes.api import Call
from loadgate_operator.cluster.kubernetes.credentials import DOUBTED, EVERY, Credentials, token_of
from loadgate_operator.cluster.port import ClusterError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CALL = Call(verb="GET", path="/api/v1/pods", resource="pods")
DAY = 86_400.0


class Server:
    """Knows one token, and counts how often it was called with each."""

    def __init__(self) -> None:
        self.known = "first"
        self.heard: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """As an API server does."""
        token = request.headers.get("Authorization", "").lower().removeprefix("bearer ")
        self.heard.append(token)
        return web.json_response({"items": []}, status=200 if token == self.known else 401)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """On loopback."""
    it = Server()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", it.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield it
    await runner.cleanup()


class Pod:
    """The pod that the operator runs in: its token's file, and time that goes on by hand."""

    def __init__(self, folder: Path, url: str) -> None:
        from kubernetes.aio.client import Configuration  # noqa: PLC0415 - as slow as it is everywhere

        self.now = 0.0
        self.file = folder / "token"
        self.renew("first")
        self.configuration = Configuration(host=url)
        self.configuration.retries = None
        load = token_of(self.file)
        load(self.configuration)
        source = Credentials(load, EVERY, lambda: self.now)
        self.configuration.refresh_api_key_hook = source
        self.connection = Connection(self.configuration, "default", source)

    def renew(self, token: str) -> None:
        """As the node does."""
        self.file.write_text(f"{token}\n", encoding="utf-8")


@pytest.mark.parametrize("step", [DAY, -DAY])
async def test_a_renewed_token_is_used_whatever_the_clock_says(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """A machine's clock that is set by a day, to or fro, neither keeps a token too long nor has it read at each call."""
    pod = Pod(tmp_path, server.url)
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + step)
    async with Api(pod.connection) as api:
        await api.ask(CALL)
        pod.renew("second")
        pod.now = EVERY - 1
        await api.ask(CALL)
        pod.now = EVERY
        server.known = "second"
        await api.ask(CALL)
    assert server.heard == ["first", "first", "second"]


async def test_a_token_that_is_refused_is_read_anew_but_not_in_a_loop(tmp_path: Path, server: Server) -> None:
    """A server that refuses a token has the file read again, at most every few seconds however often it is asked."""
    pod = Pod(tmp_path, server.url)
    reads = 0
    load = token_of(pod.file)

    def counted(configuration: Any) -> None:
        nonlocal reads
        reads += 1
        load(configuration)

    source = Credentials(counted, EVERY, lambda: pod.now)
    pod.configuration.refresh_api_key_hook = source
    async with Api(Connection(pod.configuration, "default", source)) as api:
        server.known = "second"
        for _ in range(20):
            pod.now += DOUBTED / 10
            with pytest.raises(ClusterError, match="401"):
                await api.ask(CALL)
        assert reads <= 2
        pod.renew("second")
        pod.now += DOUBTED
        await api.ask(CALL)


@pytest.mark.parametrize("content", [None, ""])
async def test_a_token_that_cannot_be_read_is_kept(tmp_path: Path, server: Server, content: str | None) -> None:
    """A file that is gone or empty for a moment costs nothing while the server still takes the token from before."""
    pod = Pod(tmp_path, server.url)
    pod.file.unlink()
    if content is not None:
        pod.file.write_text(content, encoding="utf-8")
    pod.now = EVERY
    async with Api(pod.connection) as api:
        await api.ask(CALL)
        assert (await pod.connection.credentials())["token"] == "first"


async def test_kopf_is_given_the_newest_token(tmp_path: Path, server: Server) -> None:
    """Whoever logs in anew, as kopf does once it is refused, gets what the file holds at that moment."""
    pod = Pod(tmp_path, server.url)
    pod.renew("second")
    found = await pod.connection.credentials()
    assert (found["server"], found["token"]) == (server.url, "second")


@pytest.mark.processes
async def test_a_kubeconfigs_program_is_asked_again_only_when_it_must(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program's token that by our clock expired long ago is used until the server refuses it, and then had anew."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "first", "expirationTimestamp": "2001-01-01T00:00:00Z"},
    }
    said, runs = tmp_path / "said.json", tmp_path / "runs"
    said.write_text(json.dumps(answer), encoding="utf-8")
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "interactiveMode": "Never",
        "command": "sh",
        "args": ["-c", f"echo >>{runs}; cat {said}"],
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": server.url}}],
        "users": [{"name": "me", "user": {"exec": command}}],
    }
    file = tmp_path / "config"
    file.write_text(json.dumps(config), encoding="utf-8")
    connection = await connect(str(file))
    async with Api(connection) as api:
        for _ in range(5):
            await api.ask(CALL)
        assert len(runs.read_text().splitlines()) == 1
        answer["status"]["token"] = server.known = "second"
        said.write_text(json.dumps(answer), encoding="utf-8")
        with pytest.raises(ClusterError, match="401"):
            await api.ask(CALL)
        assert (await connection.credentials())["token"] == "second"
        await api.ask(CALL)
    assert len(runs.read_text().splitlines()) == 2
