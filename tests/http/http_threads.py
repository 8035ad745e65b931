"""A process that sends a request to an address, or to one that it may not go to, and says how many threads that took."""

import asyncio
import socket
import sys
from pathlib import Path

import uvloop
from http_peers import read_request

from loadgate.plan import Targets
from loadgate_runner.http import Client, Gate, Network, Origin, prepare


async def answer(reader, writer):
    """One answer."""
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def threads():
    """How many this process has."""
    return len(list(Path("/proc/self/task").iterdir()))


async def main(rules):
    """Print the status, the failure, and the threads of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with await asyncio.start_server(answer, sock=listening):
            network = Network(gate=Gate(Targets(rules)))
            client = Client(network)
            origin = Origin("http", "127.0.0.1", listening.getsockname()[1])
            response = await client.send(prepare("GET", origin, b"/"))
            print(response.status, response.error, threads())  # noqa: T201 - what it is for
            client.close()
            network.close()


uvloop.run(main(sys.argv[1:]))
