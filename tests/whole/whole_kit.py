"""What the whole tests stand on: a real server on loopback to be loaded, manifests, and waiting with a limit."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from loadgate_operator.cluster.port import Key, Kind

LIMIT = 60.0
"""Seconds that any wait may take."""

KEY = Key(Kind.LOAD_TEST, "default", "whole")


@dataclass(frozen=True)
class Seen:
    """One request, as the server saw it."""

    at: float
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes


@dataclass
class Target:
    """A server that answers as the path says, and keeps what it saw.

    `/reset` closes with a reset, `/stall` never answers, `/garbage` answers no HTTP, `/loop` redirects to itself,
    `/to?where=URL` redirects there,
    `/endless-head` and `/endless-body` never stop, `/status/NNN` answers that status, `/token` answers a token; all
    else is 200. `?ms=N` waits that long before it answers.
    """

    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    open: int = 0
    """Connections that stand, and the most that ever did at once."""
    most_open: int = 0

    def count(self, path):
        """How many requests there were of a path."""
        return sum(one.path == path for one in self.seen)

    def paths(self):
        """How many requests there were, by path."""
        return Counter(one.path for one in self.seen)

    async def handle(self, reader, writer):
        """One connection."""
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self.exchange(reader, writer):
                pass
        self.open -= 1
        writer.transport.abort()

    async def exchange(self, reader, writer):
        """One request; answers whether the connection may have another."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        headers = {name.lower(): value for name, value in headers.items()}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        parts = urlsplit(target)
        seen = Seen(time.time(), method, parts.path, parse_qs(parts.query), headers, body)
        self.seen.append(seen)
        if "ms" in seen.query:
            await asyncio.sleep(float(seen.query["ms"][0]) / 1000)
        return await self.answer(seen, writer)

    async def answer(self, seen, writer):
        """Answer as the path says."""
        match seen.path.split("/")[1:]:
            case ["reset"]:
                return False
            case ["stall"]:
                await asyncio.sleep(3600)
            case ["garbage"]:
                writer.write(b"\x00\x01\x02 this is no HTTP\r\n\r\n")
                await writer.drain()
                return False
            case ["loop"]:
                writer.write(b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n")
            case ["endless-head"]:
                await self.flood(writer, b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"y" * 1000 + b"\r\n")
            case ["endless-body"]:
                head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"
                await self.flood(writer, head, b"z" * 65536)
            case ["status", status]:
                self.write(writer, int(status), {"error": "as asked"})
            case ["to"]:
                where = seen.query["where"][0]
                writer.write(f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode())
            case ["token"]:
                self.write(writer, 200, {"token": f"token-{len(self.seen)}"})
            case _:
                self.write(writer, 200, {"ok": True})
        await writer.drain()
        return True

    @staticmethod
    async def flood(writer, head, chunk):
        """Write without end, as fast as the other side reads."""
        writer.write(head)
        while True:
            writer.write(chunk)
            await writer.drain()

    @staticmethod
    def write(writer, status, document):
        """An answer in JSON."""
        body = json.dumps(document).encode()
        head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)


@contextlib.asynccontextmanager
async def serving(tls=None):
    """A target on a free port of loopback, with TLS where a server's SSLContext is given."""
    target = Target()
    connections = set()

    async def handle(reader, writer):
        task = asyncio.current_task()
        connections.add(task)
        try:
            await target.handle(reader, writer)
        finally:
            connections.discard(task)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    target.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield target
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def get(path, name=None, **more):
    """A step that gets a path."""
    return {"request": {"url": path, **({"name": name} if name else {})}, **more}


def scenario(executor="shared-iterations", name="s", **fields):
    """A short scenario; by default 2 VUs share 100 iterations of one GET."""
    defaults = {
        "shared-iterations": {"vus": 2, "iterations": 100, "maxDuration": "30s"},
        "per-vu-iterations": {"vus": 4, "iterations": 25, "maxDuration": "30s"},
        "constant-vus": {"vus": 2, "duration": "2s"},
        "constant-arrival-rate": {"rate": 50, "duration": "2s", "preAllocatedVUs": 10},
    }[executor]
    body = {} if "script" in fields or "steps" in fields else {"steps": [get("/")]}
    return {"name": name, "executor": executor, "gracefulStop": "2s", **defaults, **body, **fields}


def load_test(target, *scenarios, runners=1, processes=1, annotations=None, **spec):
    """A LoadTest of a target. Runners of one process are quicker to start, and most truths don't hang on their number."""
    return {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {
            "name": KEY.name,
            "namespace": KEY.namespace,
            "labels": {"app": "shop"},
            "annotations": annotations or {},
        },
        "spec": {
            "target": {"url": target.url, "timeout": "5s"},
            "runners": {"count": runners, "processes": processes},
            "scenarios": list(scenarios) or [scenario()],
            # The machine that tests run on may be busy with something else, which isn't what they are about.
            "tolerateDoubts": ["LoopLag", "ScheduleSlip", "CPULimit", "LateStart"],
            **spec,
        },
    }


def config_map(name, **data):
    """A ConfigMap; `_` in a key stands for a dot."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": KEY.namespace},
        "data": {key.replace("_", "."): value for key, value in data.items()},
    }


async def verdict(operator, key=KEY):
    """The status when nothing more will happen."""
    async with asyncio.timeout(LIMIT):
        return await operator.wait(key)


async def run(operator, *objects):
    """Apply, and wait for the verdict."""
    await operator.apply(objects)
    return await verdict(operator)


async def until_phase(operator, *wanted):
    """The first status of one of these phases."""
    async with asyncio.timeout(LIMIT):
        async for key in operator.changes():
            status = operator.status(*KEY)
            if key == KEY and status.get("phase") in wanted:
                return status
    raise AssertionError("changes never end")


async def until(condition):
    """Wait for something that nobody tells of: a process, a file, another process' request."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.02)


def doubts(status):
    """The reasons of a status' doubts."""
    return [one["reason"] for one in status.get("doubts") or ()]


def counts(result):
    """What a result counts exactly: requests, failed ones, iterations, and checks that passed and failed."""
    measured = result.measurement
    return (
        *measured.request_counts(),
        sum(one.completed for one in measured.iterations.values()),
        sum(one.passes for one in measured.checks.values()),
        sum(one.fails for one in measured.checks.values()),
    )
