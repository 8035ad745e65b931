"""The talk between a runner's parent and its load processes: answers find their questions, and an end is noticed."""

from __future__ import annotations

import asyncio
import socket

import pytest

from loadgate_runner.pipe import Answerer, Asker, LostError, Pipe, RefusedError


class TooMuchError(Exception):
    """What the answering side may refuse with."""


async def _pair(answer):
    ours, theirs = socket.socketpair()
    here, there = await Pipe.over(ours), await Pipe.over(theirs)
    asker = Asker(here)
    tasks = [
        asyncio.ensure_future(asker.listen()),
        asyncio.ensure_future(Answerer(there, answer).serve((TooMuchError,))),
    ]
    return asker, here, there, tasks


async def _answer(what, details):
    await asyncio.sleep(details.get("after", 0))
    if what == "fail":
        raise TooMuchError("no more")
    return [what, details]


async def test_answers_come_in_any_order_and_find_their_questions():
    """A slow question doesn't hold up the ones asked after it; a megabyte goes through whole."""
    asker, _, there, tasks = await _pair(_answer)
    slow = asyncio.ensure_future(asker.ask("slow", after=0.02))
    big = "x" * 1_000_000
    assert await asker.ask("big", text=big) == ["big", {"text": big}]
    assert not slow.done()
    assert await slow == ["slow", {"after": 0.02}]
    asker.tell("said", text="without an answer")
    assert await asker.ask("next") == ["next", {}]
    asker.close()
    there.close()
    await asyncio.gather(*tasks)


async def test_a_refusal_is_raised_with_its_kind_and_words():
    """What the other side could not do comes back as its own error's name and message."""
    asker, _, there, tasks = await _pair(_answer)
    with pytest.raises(RefusedError, match="no more") as caught:
        await asker.ask("fail")
    assert caught.value.kind == "TooMuchError"
    asker.close()
    there.close()
    await asyncio.gather(*tasks)


async def test_when_the_other_side_goes_open_and_later_questions_fail():
    """Nobody waits for an answer that can't come."""
    asker, here, there, tasks = await _pair(_answer)
    waiting = asyncio.ensure_future(asker.ask("slow", after=3600))
    await asker.ask("first")
    there.close()
    with pytest.raises(LostError):
        await waiting
    with pytest.raises(LostError):
        await asker.ask("later")
    asker.tell("said to nobody")
    here.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
