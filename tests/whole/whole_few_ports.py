"""A program for a network of its own: a test by more virtual users than there are local ports, its status printed."""

import asyncio
import json
import sys
from pathlib import Path

import whole_kit as kit

from loadgate_operator.embedded import Embedded

PORTS = 32
VUS = 80


def narrow() -> None:
    """Leave so few ports to all who connect from here."""
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"20000 {20000 + PORTS - 1}")


async def main() -> None:
    """Run it."""
    limits = {"http_req_failed": ["rate<0.01"]}
    load = kit.scenario("constant-vus", vus=VUS, duration="3s", steps=[kit.get("/"), {"think": "100ms"}])
    async with kit.serving() as target, Embedded() as operator:
        narrow()
        status = await kit.run(operator, kit.load_test(target, load, thresholds=limits))
    sys.stdout.write(json.dumps(status))


if __name__ == "__main__":
    asyncio.run(main())
