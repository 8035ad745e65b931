#!/opt/loadgate/bin/python
"""A runner that keeps the control contract as badly as its LoadTest's name says; `honest` is the real one."""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from pathlib import Path

import zstandard

from loadgate.metrics.snapshot import VERSION

MEGABYTE = 1 << 20
LONG = "all that a target wrote " * (MEGABYTE // 24)
LOAD = 2.0


def options():
    """Of a runner's command line what is used here."""
    parser = argparse.ArgumentParser()
    for name in ("plan", "files", "host", "port", "linger", "processes"):
        parser.add_argument(f"--{name}")
    return parser.parse_args()


class Rogue:
    """Arms at once, makes no load, and claims to have."""

    def __init__(self, kind):
        self.kind = kind
        self.state = "Failed" if kind == "failed" else "Armed"
        self.setup = {"state": "none", "values": {}, "message": ""}
        self.names = 3000 if kind == "names" else 1

    def identity(self):
        """Who it says it is."""
        if self.kind == "stranger":
            return {"run": "another", "uid": "another"}
        return {"run": os.environ["LOADGATE_RUN"], "uid": os.environ["LOADGATE_POD_UID"]}

    def report(self):
        """`/state`."""
        message = LONG if self.kind in {"failed", "wordy"} else ""
        return {
            **self.identity(),
            "index": 0,
            "state": self.state,
            "message": message,
            "setup": self.setup,
            "sequence": 1,
        }

    def snapshot(self):
        """`/snapshot`."""
        times = {"sum": 100 * 5000, "min": 5000, "max": 5000, "b": [796, 100]}
        requests = [
            {
                "tags": {
                    "name": str(number).ljust(4000 if self.names > 1 else 1, "n"),
                    "scenario": "shop",
                    "status": "200",
                },
                "stats": {"duration": times, "sent": 1, "received": 1},
            }
            for number in range(self.names)
        ]
        ends = {"completed": 100, "failed": 0, "interrupted": 0, "dropped": 0}
        iterations = [{"tags": {"scenario": "shop"}, "stats": {"duration": times, **ends}}]
        rest = dict.fromkeys(("checks", "counters", "gauges", "rates", "trends"), ())
        measurement = {"vus": 1, "vus_max": 1, "elapsed": LOAD, "requests": requests, "iterations": iterations, **rest}
        return {
            **self.identity(),
            "version": VERSION,
            "runner": 0,
            "sequence": 1,
            "clock": 0,
            "state": self.state,
            "elapsed": LOAD,
            "complete": self.state == "Finished",
            "measurement": measurement,
            "health": {},
        }

    async def load(self, seconds):
        """From the start on."""
        await asyncio.sleep(seconds)
        self.state = "Running"
        if self.kind == "quitter":
            os._exit(0)
        await asyncio.sleep(LOAD)
        self.state = "Finished"

    def answer(self, path, message):
        """What it says: (body, encoding)."""
        if path == "/start" and self.state == "Armed":
            self.task = asyncio.create_task(self.load(message["in_seconds"]))
        elif path == "/setup":
            self.setup = {"state": "failed", "values": {}, "message": LONG}
        elif path == "/ack" and self.state == "Finished":
            asyncio.get_running_loop().call_later(0.1, os._exit, 0)
        if path != "/snapshot":
            return json.dumps(self.report()).encode(), ""
        if self.kind == "liar":
            return json.dumps({**self.snapshot(), "measurement": {"vus": "many"}}).encode(), ""
        if self.kind == "bomb":
            return bomb(), "zstd"
        return zstandard.compress(json.dumps(self.snapshot()).encode()), "zstd"


def bomb():
    """Four gigabytes of spaces in a few hundred kilobytes."""
    squeeze = zstandard.ZstdCompressor(1).compressobj()
    return b"".join(squeeze.compress(b" " * MEGABYTE) for _ in range(4096)) + squeeze.flush()


async def misbehave(kind, writer):
    """An answer that is none; False where the kind answers."""
    if kind == "mute":
        await asyncio.sleep(3600)
    elif kind == "garbage":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n" + secrets.token_bytes(4096))
    elif kind == "nonsense":
        writer.write(secrets.token_bytes(4096))
    elif kind == "locked":
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\n\r\nanother's ..")
    elif kind == "slow":
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 3600\r\n\r\n" + b" " * 3600:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(1)
    elif kind == "endless":
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" " * MEGABYTE)
            await writer.drain()
    else:
        return False
    return True


async def serve(rogue, reader, writer):
    """One connection."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            if await misbehave(rogue.kind, writer):
                continue
            path = lines[0].split(" ")[1].split("?")[0]
            content, encoding = rogue.answer(path, json.loads(body or b"{}"))
            coding = f"Content-Encoding: {encoding}\r\n" if encoding else ""
            writer.write(f"HTTP/1.1 200 OK\r\n{coding}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            await writer.drain()
    writer.close()


async def main(told, kind):
    """Be that runner until it is killed."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 143)
    rogue = Rogue(kind)
    server = await asyncio.start_server(
        lambda *streams: serve(rogue, *streams), told.host, int(told.port), limit=1 << 26
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    arguments = options()
    name = json.loads(Path(arguments.plan).read_text())["test"]
    if name == "honest":
        os.execv("/opt/loadgate/bin/loadgate-runner", ["loadgate-runner", *sys.argv[1:]])
    asyncio.run(main(arguments, name))
