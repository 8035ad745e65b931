"""A real Prometheus that scrapes an embedded run as the chart's PodMonitors tell it to."""

import asyncio
import contextlib
import json
import math
import re
import socket
import time
from urllib.parse import urlencode

import httpx
import yaml
from chart_kit import program

SCRAPE = "1s"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def snake(name):
    """A field of the Prometheus operator as Prometheus itself calls it."""
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


def configuration(monitors, folder):
    """Prometheus' configuration: a job for each PodMonitor, its pods from a file of that name."""
    jobs = []
    for monitor in monitors:
        name = monitor["metadata"]["name"]
        endpoint = monitor["spec"]["podMetricsEndpoints"][0]
        jobs.append(
            {
                "job_name": name,
                "honor_labels": endpoint.get("honorLabels", False),
                "relabel_configs": [
                    {snake(key): value for key, value in rule.items()} for rule in endpoint.get("relabelings", ())
                ],
                "file_sd_configs": [{"files": [str(folder / f"{name}.json")], "refresh_interval": SCRAPE}],
            }
        )
    return yaml.safe_dump({"global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE}, "scrape_configs": jobs})


def write(path, targets):
    """Tell Prometheus of targets: (address, labels), never half a file."""
    text = json.dumps([{"targets": [address], "labels": labels} for address, labels in targets])
    if not path.exists() or path.read_text() != text:
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(path)


def address_of(pod):
    """Where a pod of the embedded cluster serves its metrics: all share loopback, so each has a host port; or None."""
    if (pod.get("status") or {}).get("phase") != "Running":
        return None
    ports = {port["name"]: port.get("hostPort") for port in pod["spec"]["containers"][0]["ports"]}
    return f"{pod['status']['podIP']}:{ports['metrics']}" if ports.get("metrics") else None


def pod_target(pod, address):
    """A pod as Prometheus' own discovery of pods would show it."""
    metadata = pod["metadata"]
    told = {"namespace": metadata["namespace"], "pod": metadata["name"]}
    for kind in ("label", "annotation"):
        for name, value in (metadata.get(f"{kind}s") or {}).items():
            told[f"__meta_kubernetes_pod_{kind}_{re.sub(r'[^a-zA-Z0-9_]', '_', name)}"] = value
    return address.removeprefix("http://"), told


class Prometheus:
    """Asks it."""

    def __init__(self, client):
        self._client = client

    async def over(self, expr, start, end):
        """The series of an expression over a time: (labels, finite values), those without a value left out."""
        query = urlencode({"query": expr, "start": start, "end": end, "step": 1})
        answer = (await self._client.get(f"/api/v1/query_range?{query}")).json()
        assert answer["status"] == "success", (expr, answer)
        found = [
            (series["metric"], [number for _, text in series["values"] if math.isfinite(number := float(text))])
            for series in answer["data"]["result"]
        ]
        return [(labels, values) for labels, values in found if values]

    async def until_seen(self, name, since):
        """Wait until there are samples of a metric; at most 20 seconds."""
        until = time.monotonic() + 20
        while not await self.over(name, since, since + 60):
            assert time.monotonic() < until, f"{name} was never scraped"
            await asyncio.sleep(0.3)


@contextlib.asynccontextmanager
async def prometheus(monitors, folder):
    """It runs for as long as the block, with what it knows in `folder`."""
    config, port = folder / "prometheus.yaml", free_port()
    config.write_text(configuration(monitors, folder))
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            await _ready(client, process, folder / "prometheus.log")
            yield Prometheus(client)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _ready(client, process, log):
    until = time.monotonic() + 30
    while time.monotonic() < until and process.returncode is None:
        with contextlib.suppress(httpx.TransportError):
            if (await client.get("/-/ready")).status_code == 200:
                return
        await asyncio.sleep(0.1)
    raise AssertionError(log.read_text())
