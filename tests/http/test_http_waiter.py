"""Waiting at a connection: woken within the loop's callback, cancelled as any task."""

import asyncio
import contextvars

import pytest

from loadgate_runner.http.waiter import Waiter


async def test_waking_resumes_the_task_at_once():
    """When `wake` returns, the task has gone on to where it waits next."""
    loop = asyncio.get_running_loop()
    waiter, seen = Waiter(loop), []

    async def wait():
        for turn in range(3):
            await waiter
            seen.append(turn)

    task = loop.create_task(wait())
    noted = loop.create_future()

    def wake():
        noted.set_result([waiter.wake() or list(seen) for _ in range(3)])

    loop.call_later(0, lambda: loop.call_soon(wake))
    assert await noted == [[0], [0, 1], [0, 1, 2]]
    await task


async def test_waking_nobody_does_nothing():
    """A waiter without a task may be woken at any time."""
    Waiter(asyncio.get_running_loop()).wake()


async def test_a_waiting_task_can_be_cancelled():
    """CancelledError is raised where it waits, and the waiter can be used again."""
    loop = asyncio.get_running_loop()
    waiter = Waiter(loop)

    async def wait():
        await waiter
        return "woken"

    cancelled = loop.create_task(wait())
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    again = loop.create_task(wait())
    await asyncio.sleep(0)
    loop.call_soon(waiter.wake)
    assert await again == "woken"


async def test_a_time_limit_around_it_works():
    """`asyncio.timeout` cancels the wait as it would any other."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await Waiter(asyncio.get_running_loop())


async def test_the_task_keeps_its_context():
    """What a task set in a context variable is there after waiting, whoever wakes it."""
    variable = contextvars.ContextVar("variable", default="nobody's")
    loop = asyncio.get_running_loop()
    waiter = Waiter(loop)

    async def wait():
        variable.set("the task's")
        await waiter
        return variable.get()

    task = loop.create_task(wait())
    await asyncio.sleep(0)
    loop.call_soon(waiter.wake)
    assert await task == "the task's"
    assert variable.get() == "nobody's"
