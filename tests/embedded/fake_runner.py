"""A runner that makes no load: it speaks the control contract and claims to have measured what it is told to claim.

What it does is JSON in the environment variable FAKE_RUNNER: `requests` (how many it claims), `seconds` (how long its
load takes), `exit_when` (a state in which it exits at once with code `exit`), `mute_when` (a state from which on it
answers nothing more), `setup` (the values its setup block extracts).
"""

import argparse
import asyncio
import base64
import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

import zstandard

from loadgate.control import LOG_PREFIX, BlockReport, BlockState, RunnerReport, RunnerState
from loadgate.metrics import Histogram, IterationStats, Measurement, RequestStats, Snapshot, tags_of
from loadgate.plan import Plan


class FakeRunner:
    """One runner's state, and its answers."""

    def __init__(self, plan, behaviour):
        self.plan = plan
        self.behaviour = behaviour
        self.state = RunnerState.ARMED
        self.sequence = 0
        self.started_at = None
        self.setup = BlockReport()
        self.teardown = BlockReport()
        self.over = asyncio.Event()
        self.identity = {"run": os.environ["LOADGATE_RUN"], "uid": os.environ["LOADGATE_POD_UID"]}
        self.index = int(os.environ["LOADGATE_INDEX"])

    def go_to(self, state):
        self.state = state
        note(self.index, state)
        if self.behaviour.get("exit_when") == state and self.behaviour.get("index", self.index) == self.index:
            os._exit(self.behaviour.get("exit", 1))

    def report(self):
        return RunnerReport(
            **self.identity,
            index=self.index,
            state=self.state,
            sequence=self.sequence,
            elapsed=self.elapsed(),
            clock=time.time(),
            setup=self.setup,
            teardown=self.teardown,
        )

    def elapsed(self):
        return 0.0 if self.started_at is None else max(0.0, time.monotonic() - self.started_at)

    def snapshot(self):
        share = min(1.0, self.elapsed() / self.behaviour.get("seconds", 0.2)) if self.started_at else 0.0
        count = round(self.behaviour.get("requests", 100) * (1.0 if self.state == RunnerState.FINISHED else share))
        name = self.plan.scenarios[0].name
        tags = tags_of(scenario=name, name="GET /", method="GET", status="200", expected_response="true")
        milliseconds = self.behaviour.get("milliseconds", 5)
        durations = Histogram([milliseconds * 1000] * count)
        return Snapshot(
            **self.identity,
            runner=self.index,
            sequence=self.sequence,
            clock=time.time(),
            state=self.state,
            elapsed=self.elapsed(),
            complete=self.state == RunnerState.FINISHED,
            measurement=Measurement(
                requests={tags: RequestStats(duration=durations)} if count else {},
                iterations={tags_of(scenario=name): IterationStats(duration=durations, completed=count)},
                vus=1,
                vus_max=1,
                elapsed=self.elapsed(),
            ),
        )

    async def run(self, delay):
        await asyncio.sleep(delay)
        self.started_at = time.monotonic()
        self.go_to(RunnerState.RUNNING)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), self.behaviour.get("seconds", 0.2))
        self.finish()

    def finish(self):
        self.sequence += 1
        self.go_to(RunnerState.FINISHED)
        encoded = base64.b64encode(zstandard.compress(self.snapshot().encode())).decode()
        sys.stdout.write(f"{LOG_PREFIX}{encoded}\n")
        sys.stdout.flush()

    def answer(self, path, message):
        """The body of an answer; None for what isn't there."""
        if path == "/start" and self.state == RunnerState.ARMED and self.started_at is None:
            self.started_at = time.monotonic() + message["in_seconds"]
            note(self.index, f"start {json.dumps(message['setup'])}")
            self.task = asyncio.create_task(self.run(message["in_seconds"]))
        elif path == "/stop":
            self.over.set()
            if self.started_at is None and self.state == RunnerState.ARMED:
                self.finish()
        elif path == "/setup":
            note(self.index, "setup")
            self.setup = BlockReport(BlockState.DONE, self.behaviour.get("setup", {}))
        elif path == "/teardown":
            note(self.index, "teardown")
            self.teardown = BlockReport(BlockState.DONE)
        elif path == "/snapshot":
            self.sequence += self.state != RunnerState.FINISHED
            return self.snapshot().encode()
        elif path == "/ack" and message["sequence"] >= self.sequence and self.state == RunnerState.FINISHED:
            asyncio.get_running_loop().call_later(0.05, os._exit, 0)
        return self.report().encode()


def note(index, what):
    """Write down what happened where the test looks."""
    with (Path(os.environ["FAKE_NOTES"]) / f"runner-{index}").open("a") as notes:
        notes.write(f"{what}\n")


async def serve(fake, reader, writer):
    while head := await reader.readuntil(b"\r\n\r\n"):
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if fake.behaviour.get("mute_when") == fake.state:
            await asyncio.sleep(3600)
        path = lines[0].split(" ")[1].split("?")[0]
        allowed = headers.get("authorization") == f"bearer {os.environ['LOADGATE_TOKEN']}".lower()
        content = fake.answer(path, json.loads(body or b"{}")) if allowed else b"no"
        status = b"200 OK" if allowed else b"401 Unauthorized"
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(content), content))
        await writer.drain()


def parsed():
    parser = argparse.ArgumentParser()
    for name in ("plan", "files", "host", "port", "linger", "processes"):
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    return options, Plan.decode(Path(options.plan).read_text())


async def main():
    options, plan = parsed()
    fake = FakeRunner(plan, json.loads(os.environ.get("FAKE_RUNNER", "{}")))
    note(fake.index, f"pid {os.getpid()}")

    async def handle(reader, writer):
        try:
            await serve(fake, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def stopped():
        if fake.state != RunnerState.FINISHED:
            fake.finish()
        os._exit(0)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped)
    fake.go_to(RunnerState.ARMED)
    server = await asyncio.start_server(handle, options.host, int(options.port))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    sys.exit(asyncio.run(main()))
