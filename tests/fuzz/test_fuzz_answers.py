"""What targets may send, at random: no crash, no hang, bounded memory, the right kind of failure, nobody else disturbed.

`make fuzz` goes on for FUZZ_SECONDS with a seed of its own; a failure names the seed of its round, and FUZZ_SEED
repeats it. Without FUZZ_SECONDS only well-formed answers are played, in one round with seed 0: what else is drawn changes
with the sources, and where the two readings differ has to be looked at by someone.
"""

import asyncio
import os
import resource
import secrets
import time
from contextlib import contextmanager

import hypothesis
import pytest
import uvloop
from fuzz_opinion import opinion
from fuzz_scripts import Script, scripts, tls_scripts, well_formed
from fuzz_stage import LIMITS, PATIENT, SHORT, Stage
from hypothesis import HealthCheck, Phase, given, settings

from loadgate_runner.http import Failure

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("FUZZ_SEED") or (secrets.randbelow(1 << 32) if SECONDS else 0))
SHARES = 8
"""Tests with the loops they run on, which divide the time."""
EXAMPLES = 200
MEMORY = 150_000_000
"""Bytes that the process may grow by; hypothesis takes some, answers may not."""
BUSY = 0.25
"""CPU seconds that another VU may wait for."""
BROKEN = {Failure.PROTOCOL, Failure.RESET, Failure.BODY}


def explore(strategy, play, examples=EXAMPLES):
    """Play scripts in rounds, each with its seed, until the time is over."""
    until = time.monotonic() + SECONDS / SHARES
    seed, before = SEED, _memory()
    while True:
        print(f"FUZZ_SEED={seed}")  # noqa: T201 - pytest shows it where the round fails
        settled = settings(
            max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink], print_blob=False,
        )  # fmt: skip
        hypothesis.seed(seed)(settled(given(strategy)(play)))()
        assert _memory() - before < MEMORY
        if time.monotonic() >= until:
            return
        seed += 1


def _memory():
    """The most bytes that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.fixture(params=[asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    """Runs a coroutine on a loop of one of the kinds, the same for all of a test."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


at_random = pytest.mark.skipif(not SECONDS, reason="make fuzz plays at random")


@contextmanager
def staged(run, *, secure):
    stage = Stage(secure=secure)
    run(stage.open())
    try:
        yield stage
    finally:
        run(stage.close())


def check_the_rest(outcome):
    """What holds whatever was said."""
    response, after = outcome.response, outcome.after
    assert outcome.beside == []
    assert outcome.requests == []
    assert outcome.busy < BUSY
    assert (after.status, after.body, after.error) == (200, b"well", None), after.message
    assert (response.error is None) == (not response.message)
    assert len(response.body) <= LIMITS.decoded
    assert len(response.head or b"") <= LIMITS.head
    assert min(response.blocked, response.sending, response.waiting, response.receiving, response.duration) >= 0


@at_random
def test_an_answer_over_plain_http(run):
    """Whatever a server sends, however it is cut and ends, becomes the answer that h11 reads, or the right failure."""

    def play(script):
        second = opinion(script.method, script.said, ended=script.end == "close")
        waits = second.kind != "whole" and script.end in {"stay", "stall"}
        outcome = run(stage.play(script, SHORT if waits else PATIENT))
        check_the_rest(outcome)
        check_what_was_meant(script, outcome.response)
        check_the_kind(script, second, outcome.response)

    with staged(run, secure=False) as stage:
        explore(scripts(), play)


@at_random
def test_an_answer_within_tls(run):
    """Alerts, records out of place and plain bytes within a session end the request, as the failure it is, or after it."""

    def play(script):
        outcome = run(stage.play(script, SHORT if script.end == "stay" else PATIENT))
        check_the_rest(outcome)
        if not script.raw and script.end != "stay":
            check_what_was_meant(script, outcome.response)
        second = opinion(script.method, script.said, ended=True)
        if outcome.response.error is None:
            known = "Transfer-Encoding" not in second.why
            assert not known or (second.kind, second.status) == ("whole", outcome.response.status)
        else:
            assert outcome.response.error in {*BROKEN, Failure.TIMEOUT}

    with staged(run, secure=True) as stage:
        explore(tls_scripts(), play)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_that_is_cut_anywhere(run, method):
    """Well-formed answers read the same whichever byte they are cut behind."""

    def play(drawn):
        wire, meant = drawn
        if meant.unbounded:
            return
        for cut in range(1, len(wire), max(1, len(wire) // 40)):
            script = Script(method, "body", warm=False, said=wire, cuts=(cut,), end="stay", meant=meant)
            check_what_was_meant(script, run(stage.play(script, PATIENT)).response)

    with staged(run, secure=False) as stage:
        explore(well_formed(method), play, examples=10)


def check_what_was_meant(script, response):
    """An answer that is well-formed by construction is read as it was meant."""
    meant = script.meant
    if meant is None or (meant.unbounded and script.end != "close"):
        return
    assert (response.error, response.status) == (None, meant.status), response.message
    if script.needs == "body":
        assert (response.body, response.size, response.truncated) == (meant.body, len(meant.body), False)
    if script.needs != "nothing":
        for name, value in meant.fields:
            assert {value, _as_utf8(value)} & {*response.headers.all(name)}


def _as_utf8(value):
    """A header's value as it reads where its bytes are UTF-8."""
    return value.encode("latin-1").decode("utf-8", "replace")


def check_the_kind(script, second, response):
    """The answer is the one that h11 reads, or the failure befits what is wrong."""
    error = response.error
    if error is None:
        if "Transfer-Encoding" in second.why:  # h11 knows `chunked` only, and once; ours undoes the last one that is
            return
        assert second.kind == "whole", second.why
        assert response.status == second.status
        if script.needs == "body" and not second.coded:
            assert response.body == second.body[: LIMITS.body]
        return
    allowed = {Failure.PROTOCOL}
    if second.kind == "whole":
        allowed |= {Failure.BODY} if second.coded else set()
    elif script.end == "reset":
        allowed |= {Failure.RESET}
    elif script.end == "close":
        allowed |= {Failure.BODY} if response.status else {Failure.RESET}
    else:
        allowed |= {Failure.TIMEOUT}
    assert error in allowed, (second, response.message)
