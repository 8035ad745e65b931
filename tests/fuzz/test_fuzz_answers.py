"""What targets may send, at random: no crash, no hang, bounded memory, the right kind of failure, nobody else disturbed."""

import asyncio

import pytest
from fuzz_explore import LOOPS, explore, staged
from fuzz_opinion import opinion
from fuzz_scripts import Script, scripts, swallows, tls_scripts, well_formed
from fuzz_stage import LIMITS, PATIENT, SHORT, Stage

from loadgate_runner.http import Failure

pytestmark = pytest.mark.processes  # since they look at the clock

BUSY = 0.25
"""CPU seconds that another VU may wait for."""
BROKEN = {Failure.PROTOCOL, Failure.RESET, Failure.BODY}


@pytest.fixture(params=LOOPS)
def run(request):
    """Runs a coroutine on a loop of one of the kinds, the same for all of a test."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner.run


def check_the_rest(outcome, raw=b""):
    """What holds whatever was said."""
    response, after = outcome.response, outcome.after
    assert outcome.beside == []
    assert outcome.requests == []
    assert outcome.busy < BUSY
    if after.error is not Failure.TIMEOUT or not swallows(raw):
        assert (after.status, after.body, after.error) == (200, b"well", None), after.message
    assert (response.error is None) == (not response.message)
    assert len(response.body) <= LIMITS.decoded
    assert len(response.head or b"") <= LIMITS.head
    assert min(response.blocked, response.sending, response.waiting, response.receiving, response.duration) >= 0


def test_an_answer_over_plain_http(run):
    """Whatever a server sends, however it is cut and ends, becomes the answer that h11 reads, or the right failure."""

    def play(script):
        second = opinion(script.method, script.said, ended=script.end == "close")
        waits = second.kind != "whole" and script.end in {"stay", "stall"}
        outcome = run(stage.play(script, SHORT if waits else PATIENT))
        check_the_rest(outcome)
        check_what_was_meant(script, outcome.response)
        check_the_kind(script, second, outcome.response)

    with staged(run, Stage()) as stage:
        explore(scripts(), play)


def test_an_answer_within_tls(run):
    """Alerts, records out of place and plain bytes within a session end the request, as the failure it is, or after it."""

    def play(script):
        outcome = run(stage.play(script, SHORT if script.end == "stay" else PATIENT))
        check_the_rest(outcome, script.raw)
        if not script.raw and script.end != "stay":
            check_what_was_meant(script, outcome.response)
        second = opinion(script.method, script.said, ended=True)
        if outcome.response.error is None:
            known = "Transfer-Encoding" not in second.why
            assert not known or (second.kind, second.status) == ("whole", outcome.response.status)
        else:
            assert outcome.response.error in {*BROKEN, Failure.TIMEOUT}

    with staged(run, Stage(secure=True)) as stage:
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

    with staged(run, Stage()) as stage:
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
