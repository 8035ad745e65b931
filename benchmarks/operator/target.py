"""What the runners of a benchmark load: answers at once, and writes down when each request came, by its own clock.

`python -m benchmarks.operator.target` prints its URL. `/barrier/N` holds its answers until N have asked, so that the
loads of many runs begin together; `/bad` fails; `/log` tells what came, as [[nanoseconds of CLOCK_MONOTONIC, path]].
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

MOST_LOGGED = 200_000
_OK, _BAD = "200 OK", "500 Internal Server Error"


class Target:
    """What all connections share."""

    def __init__(self) -> None:
        self.log: list[tuple[int, str]] = []
        self._held: list[asyncio.Transport] = []

    def answer(self, at: int, path: str, transport: asyncio.Transport) -> None:
        """Answer one request, or hold it."""
        if path == "/log":
            transport.write(_response(_OK, json.dumps(self.log).encode()))
            return
        if len(self.log) < MOST_LOGGED:
            self.log.append((at, path))
        if path.startswith("/barrier/"):
            self._held.append(transport)
            if len(self._held) >= int(path.rpartition("/")[2]):
                self._release()
            return
        transport.write(_response(_BAD if path.startswith("/bad") else _OK, b"{}"))

    def _release(self) -> None:
        for transport in self._held:
            transport.write(_response(_OK, b"{}"))
        self._held.clear()


class _Connection(asyncio.Protocol):
    """Requests without bodies, one after another."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._data = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        at = time.monotonic_ns()
        self._data += data
        while b"\r\n\r\n" in self._data:
            head, self._data = self._data.split(b"\r\n\r\n", 1)
            self._target.answer(at, head.split(b" ", 2)[1].decode(), self._transport)


def _response(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _serve() -> None:
    target = Target()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(target), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


class Running:
    """A target in a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def log(self) -> list[tuple[int, str]]:
        """When each request came, and its path."""
        with urllib.request.urlopen(f"{self.url}/log", timeout=30) as answer:
            return [(at, path) for at, path in json.load(answer)]


@contextlib.contextmanager
def running() -> Iterator[Running]:
    """A target, for as long as the block."""
    command = [sys.executable, "-m", "benchmarks.operator.target"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None or not (url := process.stdout.readline().strip()):
            raise RuntimeError("the target didn't start")
        yield Running(url)
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    asyncio.run(_serve())
