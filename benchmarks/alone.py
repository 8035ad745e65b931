"""The client alone in a process of its own: VUs in a loop, each request recorded as a runner records it.

    python -m benchmarks.worker URL VUS SECONDS

prints a line of JSON: requests, failures, seconds, and CPU seconds spent between the first request and the last.
"""

import asyncio
import json
import sys
import time

import uvloop

from loadgate.metrics import tags_of
from loadgate_runner.http import Client, Network, Request, locate, prepare
from loadgate_runner.telemetry.recorder import Recorder
from loadgate_runner.telemetry.series import RequestHandle


async def virtual_user(client: Client, request: Request, series: RequestHandle, until: int) -> None:
    """One VU: a request after another until the time is over."""
    response = await client.send(request)
    series.record(response, response.error is None and response.status < 400, None)
    while response.ended < until:
        response = await client.send(request)
        series.record(response, response.error is None and response.status < 400, None)


async def load(url: str, vus: int, seconds: float) -> dict[str, float]:
    """So many VUs for so long."""
    network = Network()
    recorder = Recorder(network.clock)
    series = recorder.request_series(tags_of(scenario="bench", name="plain", method="GET", group=""))
    request = prepare("GET", *locate(url))
    clients = [Client(network) for _ in range(vus)]
    began, cpu = network.clock(), time.process_time()
    recorder.begin(began, 0.0)
    until = began + int(seconds * 1_000_000_000)
    await asyncio.gather(*(virtual_user(client, request, series, until) for client in clients))
    cpu, took = time.process_time() - cpu, (network.clock() - began) / 1e9
    recorder.end()
    measured = (await recorder.measure()).requests.items()
    requests = sum(stats.duration.count for _, stats in measured)
    good = sum(stats.duration.count for tags, stats in measured if dict(tags).get("status") == "200")
    for client in clients:
        client.close()
    network.close()
    return {"requests": requests, "failed": requests - good, "seconds": took, "cpu": cpu}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(load(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
