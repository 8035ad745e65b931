"""A runner as a process: serves the control port, arms, waits to be told, hands over its last snapshot, ends."""

from __future__ import annotations

import asyncio
import base64
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgate.control import LOG_PREFIX, RunnerState, Stop
from loadgate_runner.lifecycle import Runner
from loadgate_runner.serve.control import Control, spell
from loadgate_runner.serve.server import ControlServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate.plan import Plan
    from loadgate_runner.maker import Maker
    from loadgate_runner.settings import Settings

PRINT_SECONDS = 2.0
"""How long a runner that could go waits for the last snapshot to be printed."""

TOLD_SECONDS = 5.0
"""How long a runner that a signal ended waits for its last snapshot to be taken; the operator looks each 2 s."""

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_UNUSABLE = 2
"""The plan, the command line or the port is at fault: another process would do no better."""
EXIT_SIGNAL = 128
"""Plus the signal's number: told to end before there was any load, or told twice."""


@dataclass
class _Told:
    """Which signal came first, if any."""

    signal: int | None = None


async def serve(
    settings: Settings, plan: Plan, maker: Maker, log: Callable[[str], None], write: Callable[[str], None]
) -> int:
    """Be a runner until it isn't needed any more. Returns the exit code; `write` takes lines for standard output."""
    runner = Runner(settings.identity, maker, log)
    control = Control(runner, settings.token, {"test": plan.test, "namespace": plan.namespace})
    server = ControlServer(control.handle)
    try:
        port = await server.listen(settings.host, settings.port)
    except OSError as error:
        log(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}")
        await runner.close()
        return EXIT_UNUSABLE
    log(f"runner {settings.identity.index} of run {settings.identity.run} listens on {settings.host}:{port}")
    told = _Told()
    hurried = _listen_to_signals(runner, told, log)
    try:
        runner.arm()
        await _first(runner.over, hurried)
        if hurried.is_set() or (told.signal is not None and _never_ran(runner)):
            return EXIT_SIGNAL + (told.signal or signal.SIGTERM)
        linger = settings.linger if told.signal is None else min(settings.linger, TOLD_SECONDS)
        await _hand_over(runner, linger, hurried, log, write)
        if hurried.is_set():
            return EXIT_SIGNAL + (told.signal or signal.SIGTERM)
        if runner.state is RunnerState.FINISHED:
            return EXIT_OK
        return EXIT_UNUSABLE if _never_ran(runner) else EXIT_FAILED
    finally:
        await server.close()
        await runner.close()


async def _hand_over(
    runner: Runner, linger: float, hurried: asyncio.Event, log: Callable[[str], None], write: Callable[[str], None]
) -> None:
    """Print the last snapshot, where the pod's log keeps it, and serve until the operator says that it has it."""
    printing = asyncio.ensure_future(asyncio.to_thread(_print, runner, write))
    try:
        async with asyncio.timeout(linger):
            await _first(runner.acknowledged, hurried)
    except TimeoutError:
        log(f"nobody acknowledged the last snapshot within {linger:g}s")
    if not hurried.is_set():
        await asyncio.wait([printing], timeout=PRINT_SECONDS)


def _print(runner: Runner, write: Callable[[str], None]) -> None:
    """In a thread, since whoever reads standard output may be slow, or gone, and the port is still to be served."""
    if runner.last is not None:
        data, _ = spell(runner.last.encode, slices=True, compress=True)
        write(LOG_PREFIX + base64.b64encode(data).decode())


def _listen_to_signals(runner: Runner, told: _Told, log: Callable[[str], None]) -> asyncio.Event:
    hurried = asyncio.Event()

    def on_signal(number: int) -> None:
        name = signal.Signals(number).name
        if told.signal is not None:
            log(f"{name} again: ending at once")
            hurried.set()
            return
        told.signal = number
        if runner.over.is_set():
            log(f"{name}: ending, the last snapshot is in the log")
            runner.acknowledged.set()
            return
        log(f"{name}: stopping")
        runner.stop(Stop(run=runner.identity.run, graceful=True, reason=f"the runner got {name}"))

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return hurried


def _never_ran(runner: Runner) -> bool:
    return runner.last is None or runner.last.elapsed == 0.0


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of these is set."""
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
