"""What peers of HTTP/2 may send, at random: each request becomes what was said to it, or the right failure, and nobody else is disturbed."""

import asyncio

import pytest
from fuzz_explore import LOOPS, explore, staged
from fuzz_h2_opinion import Opinion
from fuzz_h2_scripts import scripts, tls_scripts
from fuzz_h2_stage import AGAIN, Stage
from fuzz_scripts import swallows
from fuzz_stage import LIMITS, PATIENT, SHORT

from loadgate_runner.http import Failure

pytestmark = pytest.mark.processes  # since they look at the clock

BUSY = 0.25
"""CPU seconds that another VU may wait for."""
MUCH = 1500
"""Bytes of heads, as they come and as they are meant, from which on the limit may be passed."""


@pytest.fixture(params=LOOPS)
def run(request):
    """Runs a coroutine on a loop of one of the kinds, the same for all of a test."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner.run


def hear(script):
    """What a script says, to whom."""
    return Opinion(dict(zip(script.streams, script.methods, strict=True))).hear(script.said)


def check_the_rest(outcome, raw=b""):
    """What holds whatever was said."""
    assert outcome.beside == []
    assert outcome.busy < BUSY
    after = outcome.after
    if after.error is not Failure.TIMEOUT or not swallows(raw):
        assert (after.status, after.body, after.error) == (200, b"well", None), after.message
    for response in outcome.responses:
        assert (response.error is None) == (not response.message)
        assert len(response.body) <= LIMITS.decoded
        assert len(response.head or b"") <= LIMITS.head
        assert min(response.blocked, response.sending, response.waiting, response.receiving, response.duration) >= 0


def test_answers_over_plain_http2(run):
    """Whatever a peer sends to requests side by side, each becomes the answer that it was sent, or the right failure."""

    def play(script):
        heard = hear(script)
        waits = script.end in {"stay", "stall"} and any(not read.over for read in heard.streams.values())
        unsound = heard.fault or heard.doubt or heard.unfinished or heard.shut or heard.heads > MUCH
        sound = script.end != "stall" and not unsound
        outcome = run(stage.play(script, SHORT if waits else PATIENT, sound=sound))
        check_the_rest(outcome)
        for slot, response in enumerate(outcome.responses):
            check_what_was_meant(script, slot, response, waits=waits)
            check_the_kind(script, heard, slot, response, waits=waits)

    with staged(run, Stage()) as stage:
        explore(scripts(), play)


def test_answers_over_http2_within_tls(run):
    """Alerts, records out of place and plain bytes within a session end its requests, as the failure they are, or after them."""

    def play(script):
        heard = hear(script)
        waits = script.end == "stay"
        outcome = run(stage.play(script, SHORT if waits else PATIENT, sound=False))
        check_the_rest(outcome, script.raw)
        for slot, response in enumerate(outcome.responses):
            if not script.raw:
                check_what_was_meant(script, slot, response, waits=waits)
            if response.error is None:
                check_the_content(script, heard, slot, response)
            else:
                allowed = {Failure.PROTOCOL, Failure.RESET, Failure.BODY} | ({Failure.TIMEOUT} if waits else set())
                assert response.error in allowed, response.message

    with staged(run, Stage(secure=True)) as stage:
        explore(tls_scripts(), play)


def check_what_was_meant(script, slot, response, *, waits):
    """An answer that is well-formed by construction is read as it was meant, where there was time."""
    if not script.meant or (waits and response.error is Failure.TIMEOUT):
        return
    meant = script.meant[slot]
    assert (response.error, response.status) == (None, meant.status), response.message
    assert (response.body, response.size, response.truncated) == (meant.body, len(meant.body), False)
    check_fields(meant.fields, response.headers)
    check_fields(meant.trailers, response.trailers)


def check_fields(fields, headers):
    for name, value in fields:
        assert value.decode("latin-1") in headers.all(name.decode())


def check_the_content(script, heard, slot, response):
    """An answer that was taken is one that was sent; to a request that was sent once more, one of the other connection."""
    read = heard.streams[script.streams[slot]]
    if response.status == AGAIN and read.status != AGAIN:
        assert read.kind not in {"whole", "reset"} or script.raw  # what stands before garbage may be lost with it
        assert script.methods[slot] != "POST" or read.kind == "refused", "it was sent twice"
        return
    assert read.kind == "whole", (read.kind, read.why)
    assert (response.status, response.body) == (read.status, read.body[: LIMITS.body])
    assert sorted(name.decode("latin-1").strip() for name, _ in read.fields) == sorted(
        name for name, _ in response.headers
    )


def check_the_kind(script, heard, slot, response, *, waits):
    """The answer is the one that was sent, or the failure befits what is wrong."""
    if response.error is None:
        check_the_content(script, heard, slot, response)
        return
    read = heard.streams[script.streams[slot]]
    allowed = {Failure.TIMEOUT} if waits else set()
    if (
        heard.fault
        or heard.doubt
        or heard.heads > MUCH
        or any(one.kind == "malformed" for one in heard.streams.values())
    ):
        allowed |= {Failure.PROTOCOL}
    if heard.doubt or read.kind in {"reset", "refused"} or script.end == "reset":
        allowed |= {Failure.RESET}
    if read.kind == "open" and script.end == "close":
        allowed |= {Failure.BODY if read.status and not heard.faulted else Failure.RESET}
    assert response.error in allowed, (heard.fault, heard.doubt, read, response.message)
