"""Ctrl-C, once and twice."""

import asyncio
import os
import signal

import pytest

from loadgate_cli.interrupts import Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_first_is_graceful_and_second_is_at_once(number: signal.Signals):
    """One signal asks for a graceful stop, another for an immediate one; each is told."""
    asked: asyncio.Queue[bool] = asyncio.Queue()
    told: list[str] = []

    async def stop(*, graceful: bool) -> None:
        asked.put_nowait(graceful)

    interrupts = Interrupts(stop, told.append)
    with interrupts.installed():
        for graceful in (True, False):
            os.kill(os.getpid(), number)
            assert await asked.get() is graceful
        await interrupts.finished()
    assert len(told) == 2


async def test_handlers_are_gone_afterwards():
    """A command that is done takes no more signals."""

    async def stop(*, graceful: bool) -> None:
        raise AssertionError(graceful)

    interrupts = Interrupts(stop, print)
    with interrupts.installed():
        assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    await interrupts.finished()


async def test_what_stopping_raises_is_raised():
    """A stop that fails isn't silent."""

    async def stop(*, graceful: bool) -> None:
        raise OSError(graceful)

    interrupts = Interrupts(stop, lambda _text: None)
    with interrupts.installed():
        interrupts.hit()
        with pytest.raises(OSError, match="True"):
            await interrupts.finished()
