"""Setup and teardown: done once, strict, and not measured."""

import pytest
from journey_samples import Bench, Sleeper, an_answer, json_answer, plan_of, steps_of

from loadgate.plan.document import PlanData
from loadgate_runner.http import Failure
from loadgate_runner.journey import BlockError, JourneyError, check_block, run_block

ROWS = {"d": PlanData(order="unique", rows=[{"a": 1}])}


def bench_of(*answers, **more):
    """A bench whose scenario plays no part."""
    return Bench(plan_of({"request": {"url": "/"}}, data=ROWS), *answers, **more)


async def run(bench, *steps, name="setup"):
    """Do a block."""
    return await run_block(name, steps_of(*steps), bench.plan, bench.context)


async def test_a_block_gives_what_it_extracted():
    """Values keep their type."""
    bench = bench_of(json_answer({"token": "t", "ids": [1, 2]}))
    step = {
        "request": {"url": "/${data.d.a}"},
        "check": {"status": 200},
        "extract": {
            "token": {"json": "$.token"},
            "ids": {"json": "$.ids"},
            "none": {"json": "$.none", "default": None},
        },
    }
    assert await run(bench, step, {"think": "1s"}) == {"token": "t", "ids": [1, 2], "none": None}
    assert bench.client.sent[0].path == b"/1"
    assert bench.client.closed


async def test_nothing_of_a_block_is_measured():
    """It is no part of the load."""
    bench = bench_of()
    before = len(bench.recorder.series)
    await run(bench, {"request": {"url": "/"}, "check": {"status": 200}})
    assert len(bench.recorder.series) == before


async def test_a_teardown_reads_what_setup_gave():
    """As every scenario does."""
    bench = bench_of()
    bench.context.setup["id"] = 9
    await run(bench, {"request": {"url": "/${setup.id}", "method": "DELETE"}}, name="teardown")
    assert bench.client.sent[0].path == b"/9"


@pytest.mark.parametrize(
    ("answer", "step", "told"),
    [
        (
            an_answer(status=500, method="POST", url="http://shop/x?secret=1"),
            {},
            r"setup: request 'GET /' failed: status 500 \(POST http://shop/x\)$",
        ),
        (an_answer(status=0, error=Failure.CONNECT, message="refused"), {}, "failed: refused"),
        (an_answer(), {"check": {"status": 201}}, "failed: status 200"),
        (an_answer(), {"check": {"body": "exists"}}, "check 'body exists' of request 'GET /' failed"),
        (an_answer(), {"extract": {"a": {"json": "$.a"}}}, "check 'extract a' of request 'GET /' failed"),
    ],
)
async def test_a_block_ends_at_its_first_failure(answer, step, told):
    """And says which request and what was wrong, without the query."""
    bench = bench_of(answer)
    with pytest.raises(BlockError, match=told):
        await run(bench, {"request": {"url": "/"}, **step}, {"request": {"url": "/next"}})
    assert len(bench.client.sent) == 1
    assert bench.client.closed


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"request": {"url": "/${random.int(1, gone)}"}}, "is no number"),
        ({"think": "1s"}, "interrupted"),
    ],
)
async def test_a_block_that_cannot_go_on_says_why(step, told):
    """A value that doesn't fit, or being stopped."""
    with pytest.raises(BlockError, match=told):
        await run(bench_of(sleep=Sleeper(allowed=0)), step)


async def test_a_block_may_find_no_row_left():
    """Of a unique source."""
    bench = bench_of()
    step = {"request": {"url": "/${data.d.a}"}}
    await run(bench, step)
    with pytest.raises(BlockError, match="no row left"):
        await run(bench, step)


async def test_a_block_that_cannot_be_compiled_is_refused():
    """As a scenario is."""
    bench, step = bench_of(), {"request": {"url": "/${secret.gone}"}}
    with pytest.raises(JourneyError):
        await run(bench, step)
    with pytest.raises(JourneyError, match=r"secret\.gone"):
        check_block("setup", steps_of(step), bench.plan, bench.context)
    check_block("setup", steps_of({"think": "1s"}), bench.plan, bench.context)
    assert bench.client.sent == []


async def test_no_secret_is_told():
    """Neither by a request's failure nor by what can't be compiled."""
    plan = plan_of({"request": {"url": "/"}}, secrets={"s": "S"})
    bench = Bench(
        plan, an_answer(status=0, error=Failure.DNS, message="hush-hush has no address"), environ={"S": "hush-hush"}
    )
    with pytest.raises(BlockError, match=r"\*\*\* has no address"):
        await run(bench, {"request": {"url": "/"}})
    with pytest.raises(JourneyError, match=r"'http://\*\*\*:x/'"):
        await run(bench, {"request": {"url": "http://${secret.s}:x/"}})


async def test_a_cancelled_blocks_connections_are_closed():
    """Whatever ends it."""

    async def sleep(_seconds):
        raise KeyboardInterrupt

    bench = bench_of(sleep=sleep)
    with pytest.raises(KeyboardInterrupt):
        await run(bench, {"think": "1s"})
    assert bench.client.closed
