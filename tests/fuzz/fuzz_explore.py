"""How long and with which seeds anything is played at random, and what holds of memory meanwhile.

`make test` plays the same rounds each time, so that what fails is a change's doing, and takes the first failure as
it is: two minutes at most are divided among all tests that play. `make fuzz` takes FUZZ_SECONDS with seeds of its own each time, and
makes of a failure the smallest script that still fails. Both name the seed of the round, and FUZZ_SEED repeats it.
"""

import asyncio
import os
import resource
import secrets
import time
from contextlib import contextmanager
from itertools import count

import hypothesis
import uvloop
from hypothesis import HealthCheck, Phase, given, settings

SHRINK = "FUZZ_SECONDS" in os.environ
SECONDS = float(os.environ.get("FUZZ_SECONDS") or 120)
SEED = int(os.environ.get("FUZZ_SEED") or (secrets.randbelow(1 << 32) if SHRINK else 1))
SHARES = 12
"""Tests with the loops they run on, which divide the time."""
ROUND = 100
"""Scripts with one seed."""
ROUNDS = 4
"""Of `make test`."""
MEMORY = 150_000_000
"""Bytes that the process may grow by; hypothesis takes some, answers may not."""
LOOPS = {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


def explore(strategy, play, examples=ROUND):
    """Play scripts in rounds, each with its seed, until the time is over."""
    until = time.monotonic() + SECONDS / SHARES
    before = _memory()
    for seed in count(SEED) if SHRINK else range(SEED, SEED + ROUNDS):
        print(f"FUZZ_SEED={seed}")  # noqa: T201 - pytest shows it where the round fails
        settled = settings(
            max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink] if SHRINK else [Phase.generate], print_blob=False,
            report_multiple_bugs=False,
        )  # fmt: skip
        hypothesis.seed(seed)(settled(given(strategy)(play)))()
        assert _memory() - before < MEMORY
        if time.monotonic() >= until:
            return


def _memory():
    """The most bytes that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def staged(run, stage):
    """A stage that is open for as long as this lasts."""
    run(stage.open())
    try:
        yield stage
    finally:
        run(stage.close())
