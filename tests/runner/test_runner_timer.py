"""Timers of real time: a kernel timer calls once, when it was last set for."""

from __future__ import annotations

import asyncio
import time

import pytest

from loadgate_runner.executors.alarm import Alarm, LoopTimer
from loadgate_runner.kernel_timer import best_timer


@pytest.mark.parametrize("make", [best_timer, LoopTimer])
async def test_a_timer_calls_once_and_not_before_its_time(make):
    """Set twice, it calls for the second setting only; cancelled, it doesn't call."""
    timer = make()
    called: list[float] = []
    done = asyncio.Event()

    def call() -> None:
        called.append(time.monotonic())
        done.set()

    began = time.monotonic()
    timer.set(0.001, lambda: called.append(0.0))
    timer.set(0.01, call)
    await asyncio.wait_for(done.wait(), 5)
    timer.set(0.001, lambda: called.append(0.0))
    timer.cancel()
    await Alarm(time.monotonic).wait(time.monotonic() + 0.01)
    timer.close()
    assert len(called) == 1
    assert called[0] - began >= 0.0099


async def test_an_alarm_on_a_kernel_timer_never_ends_early():
    """Twenty waits of 1 to 3 ms each end at or after their instant; a ring ends one wait at once."""
    alarm = Alarm(time.monotonic, best_timer())
    for i in range(20):
        until = time.monotonic() + 0.001 + i / 10_000
        await alarm.wait(until)
        assert time.monotonic() >= until
    asyncio.get_running_loop().call_later(0.005, alarm.ring)
    began = time.monotonic()
    await alarm.wait(began + 60)
    assert time.monotonic() - began < 30
    alarm.close()
