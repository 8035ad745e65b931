"""A load process of a runner: makes one part of its share, as its parent says over a socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import uvloop

from loadgate.plan import Plan
from loadgate_runner import garbage, orphan
from loadgate_runner.journey import BlockError
from loadgate_runner.limits import raise_descriptor_limit
from loadgate_runner.load import Load, Part, Surroundings
from loadgate_runner.log import log
from loadgate_runner.maker import ArmError, LoadError, Maker, View
from loadgate_runner.pipe import Answerer, LostError, Pipe
from loadgate_runner.settings import Identity
from loadgate_runner.sharing import shared_rows
from loadgate_runner.telemetry.cgroup import Cgroup

REFUSALS = (ArmError, BlockError, LoadError)


def main() -> None:
    """`python -m loadgate_runner.child SOCKET PARENT`: serve until the parent is gone, then end at once."""
    descriptor, parent = map(int, sys.argv[1:3])
    orphan.die_with(parent)
    # Signals of a terminal or a supervisor reach the whole group; what they mean is the parent's to say.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise_descriptor_limit()
    garbage.calm()
    uvloop.run(_serve(socket.socket(fileno=descriptor)))


async def _serve(end: socket.socket) -> NoReturn:
    pipe = await Pipe.over(end)
    try:
        hello = await pipe.receive()
    except LostError:  # the parent had no use for us: what it was to read for us isn't there
        orphan.leave(0)
    part = Part(identity=Identity(**hello["identity"]), process=hello["process"], processes=hello["processes"])
    surroundings = Surroundings(
        files=Path(hello["files"]),
        environ=os.environ,
        cgroup=Cgroup.find(),
        cores=hello["cores"],
        memory_limit=hello["memory_limit"],
        log=lambda message: log(f"process {part.process}: {message}"),
        rows=shared_rows(hello["rows"]),
    )
    load = Load(Plan.decode(hello["plan"]), part, surroundings)
    await Answerer(pipe, partial(_answer, load)).serve(REFUSALS)
    orphan.leave(0)


async def _answer(load: Maker, what: str, details: dict[str, Any]) -> Any:
    match what:
        case "arm":
            return await load.arm()
        case "run_block":
            return await load.run_block(details["name"], details["setup"])
        case "run":
            return await load.run(details["begin"], details["offset"], details["setup"])
        case "stop":
            return load.stop(graceful=details["graceful"])
        case "read":
            view = View(**details)
            reading = await load.read(view)
            measurement = await asyncio.to_thread(reading.measurement.to_json, slices=view.slices)
            return {"measurement": measurement, "health": asdict(reading.health)}
    raise AssertionError(f"a parent doesn't say {what!r}")


if __name__ == "__main__":
    main()
