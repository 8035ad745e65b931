"""Waiting at a connection: woken within the loop's callback, cancelled as any task."""

import asyncio
import contextvars

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgate_runner.http.waiter import Waiter, in_task, on_a_strand


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


def on_strand(work):
    """A task that does the work on a strand."""
    return asyncio.get_running_loop().create_task(on_a_strand(work))


async def test_a_strand_goes_on_within_the_callback_and_without_its_task():
    """`wake` resumes the coroutine at once, outside any task; `in_task` brings it back into its own."""
    loop = asyncio.get_running_loop()
    waiter, seen = Waiter(loop), []

    async def work():
        seen.append(asyncio.current_task() is task)
        for _ in range(3):
            await waiter
            seen.append(asyncio.current_task())
        await in_task()
        seen.append(asyncio.current_task() is task)

    task = on_strand(work())
    await asyncio.sleep(0)
    noted = loop.create_future()
    loop.call_soon(lambda: noted.set_result([waiter.wake() or list(seen) for _ in range(3)]))
    assert await noted == [[True, None], [True, None, None], [True, None, None, None, True]]
    await task


async def test_in_task_does_nothing_in_a_plain_task():
    """It waits for nothing where there is a task already."""
    with pytest.raises(StopIteration):
        in_task().send(None)


async def test_a_strand_awaits_anything_else_as_its_task_would():
    """Sleep, futures, other tasks and time limits work behind a wait at a Waiter, and so does a Waiter behind them."""
    loop = asyncio.get_running_loop()
    waiter = Waiter(loop)

    async def work():
        done = []
        for one in (asyncio.sleep(0, 1), asyncio.sleep(0.001, 2), loop.create_task(asyncio.sleep(0, 3))):
            await waiter
            done.append(await one)
        await in_task()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await Waiter(loop)
        noted.set_result(done)

    noted = loop.create_future()
    task = on_strand(work())
    await wake_until(waiter, noted)
    assert noted.result() == [1, 2, 3]
    await task


async def test_what_a_strand_raises_is_raised_by_its_task():
    """Whether it was within the task or not."""
    waiter = Waiter(asyncio.get_running_loop())

    async def work():
        await waiter
        raise LookupError("out there")

    task = on_strand(work())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(waiter.wake)
    with pytest.raises(LookupError, match="out there"):
        await task


async def test_a_strand_keeps_its_tasks_context():
    """Back in the task, context variables are the task's."""
    variable = contextvars.ContextVar("variable", default="nobody's")
    waiter = Waiter(asyncio.get_running_loop())
    found = []

    async def work():
        variable.set("the task's")
        await waiter
        await in_task()
        found.append(variable.get())

    task = on_strand(work())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(waiter.wake)
    await task
    assert found == ["the task's"]


async def wake_until(waiter, done):
    """An answer each turn of the loop."""
    while not done.done():
        asyncio.get_running_loop().call_soon(waiter.wake)
        await asyncio.sleep(0)


STEPS = st.lists(st.sampled_from(["wait", "sleep", "settled", "back", "cancel", "catch", "fail"]), max_size=8)
EVENTS = st.lists(st.sampled_from(["wake", "cancel", "settle", "turn"]), max_size=16)


@given(STEPS, EVENTS)
@settings(max_examples=300, deadline=None)
def test_a_coroutine_does_on_a_strand_what_it_does_in_a_task(steps, events):
    """Waits, cancellations and failures in any order come to the same, met at the same places."""

    async def told(how):
        return await Story(steps).told(how, events)

    assert asyncio.run(told(on_a_strand)) == asyncio.run(told(lambda work: work))


class Story:
    """What a coroutine of some steps meets while events come from outside, and how its task ends."""

    def __init__(self, steps):
        self.steps = steps
        self.loop = asyncio.get_running_loop()
        self.waiter = Waiter(self.loop)
        self.future = self.loop.create_future()
        self.log = []

    async def told(self, how, events):
        self.task = self.loop.create_task(how(self.work()))
        await asyncio.sleep(0)
        together = set()
        for event in events:
            if event == "turn" or event in together:  # an answer comes once, but may come together with a cancellation
                for _ in range(2 * len(self.steps)):  # until the coroutine waits for what comes from outside
                    await asyncio.sleep(0)
                together.clear()
            self.happen(event)
            together.add(event)
        while not self.task.done():  # whatever it still waits for comes
            self.happen("wake")
            self.happen("settle")
            await asyncio.sleep(0)
        failed = "cancelled" if self.task.cancelled() else repr(self.task.exception())
        return self.log, failed, self.task.cancelling()

    def happen(self, event):
        if event == "wake":
            self.loop.call_soon(self.waiter.wake)
        elif event == "cancel":
            self.task.cancel()
        elif event == "settle" and not self.future.done():
            self.future.set_result(None)

    async def work(self):
        for step in self.steps:
            try:
                await getattr(self, step)()
            except asyncio.CancelledError:
                self.log.append(f"cancelled at {step}")
                if "catch" not in self.steps:
                    raise
            else:
                self.log.append(step)

    async def wait(self):
        await self.waiter

    async def sleep(self):
        await asyncio.sleep(0)

    async def settled(self):
        self.future = self.loop.create_future()
        await self.future

    async def back(self):
        await in_task()
        self.log.append(asyncio.current_task() is self.task)

    async def cancel(self):
        """Of itself. It is met here, since only on a strand `in_task` may wait, and so be where it is met."""
        self.task.cancel()
        await asyncio.sleep(0)

    async def catch(self):
        """Cancellation is caught in this story."""

    async def fail(self):
        raise LookupError
