"""Steps: control flow, what is recorded, and how an iteration ends."""

import asyncio
from itertools import pairwise

import pytest
from journey_samples import Bench, Sleeper, an_answer, json_answer

from loadgate.api.steps import Check, Step
from loadgate.plan.document import PlanData
from loadgate_runner.http import Failure
from loadgate_runner.journey import JourneyError, Outcome, check_block


def get(url, **more):
    """A request step."""
    return {"request": {"url": url}, **more}


def paths(bench):
    """Where requests went."""
    return [sent.path.decode() for sent in bench.client.sent]


async def test_steps_are_done_in_order():
    """One request after another, then the iteration is complete."""
    bench = Bench.steps(get("/a"), get("/b"), get("/c"))
    assert await bench.vu.iterate(0) is Outcome.COMPLETED
    assert paths(bench) == ["/a", "/b", "/c"]


async def test_a_repeat_does_its_steps_so_often_and_lets_others_have_a_turn():
    """A loop whose steps never wait would hold the runner up."""
    bench = Bench.steps({"repeat": {"times": 250, "steps": [get("/a"), get("/b")]}})
    await bench.vu.iterate(0)
    assert paths(bench) == ["/a", "/b"] * 250
    assert bench.sleep.slept == [0, 0]


async def test_a_while_ends_when_its_condition_does():
    """Its value is looked at before each turn."""
    step = get("/poll", extract={"state": {"json": "$.state"}})
    answers = (json_answer({"state": "busy"}), json_answer({"state": "busy"}), json_answer({"state": "done"}))
    bench = Bench.steps({"while": {"value": "${state}", "is": "!=done", "max": 10, "steps": [step]}}, answers=answers)
    assert await bench.vu.iterate(0) is Outcome.COMPLETED
    assert len(bench.client.sent) == 3


async def test_a_while_does_no_more_turns_than_its_bound():
    """Whatever the target says."""
    bench = Bench.steps({"while": {"value": "${vu.id}", "is": 7, "max": 205, "steps": [get("/")]}})
    assert await bench.vu.iterate(0) is Outcome.COMPLETED
    assert len(bench.client.sent) == 205
    assert bench.sleep.slept == [0, 0]


@pytest.mark.parametrize("kind", ["repeat", "while"])
async def test_a_loop_ends_when_the_runner_says_so(kind):
    """At its next turn for others."""
    loop = (
        {"times": 10_000, "steps": [get("/")]}
        if kind == "repeat"
        else {"value": "a", "is": "a", "max": 10_000, "steps": [get("/")]}
    )
    bench = Bench.steps({kind: loop}, sleep=Sleeper(allowed=0))
    assert await bench.vu.iterate(0) is Outcome.INTERRUPTED
    assert len(bench.client.sent) == 99


@pytest.mark.parametrize(
    ("value", "asked", "path"),
    [
        ("${found}", "exists", "/then"),
        ("${found}", "absent", "/else"),
        ("${empty}", "exists", "/else"),
        ("${gone}", "exists", "/else"),
        ("${gone}", "absent", "/then"),
        ("${gone}", "", "/then"),
        ("${found}", "yes", "/then"),
        ("${found}", "~^y", "/then"),
        ("${number}", ">4", "/then"),
        ("${number}", 5, "/then"),
        ("${number}", "5", "/then"),
        ("${number}", 6, "/else"),
        ("${flag}", True, "/then"),
        ("${flag}", "true", "/then"),
        ("a-${number}", "a-5", "/then"),
        ("${number}", "<${vu.id}", "/then"),
    ],
)
async def test_an_if_goes_one_way(value, asked, path):
    """What was never set, or is empty, doesn't exist."""
    extract = {name: {"json": f"$.{name}", "default": ""} for name in ("found", "empty", "number", "flag")}
    bench = Bench.steps(
        get("/", extract=extract),
        {"if": {"value": value, "is": asked, "then": [get("/then")], "else": [get("/else")]}},
        answers=(json_answer({"found": "yes", "empty": "", "number": 5, "flag": True}),),
    )
    assert await bench.vu.iterate(0) is Outcome.COMPLETED
    assert paths(bench) == ["/", path]


@pytest.mark.parametrize(
    "step",
    [Step.model_construct(), Step.model_construct(think="soon"), Step.model_construct(check=Check(status=200))],
)
def test_a_step_that_is_none_is_refused(step):
    """The compiler doesn't trust that it was validated."""
    bench = Bench.steps(get("/"))
    with pytest.raises(JourneyError):
        check_block("setup", [step], bench.plan, bench.context)


async def test_an_if_without_an_else_may_do_nothing():
    """And the journey goes on."""
    bench = Bench.steps({"if": {"value": "a", "is": "b", "then": [get("/then")]}}, get("/next"))
    assert await bench.vu.iterate(0) is Outcome.COMPLETED
    assert paths(bench) == ["/next"]


async def test_a_choice_is_drawn_by_weight():
    """Each way as often as its weight says."""
    ways = [{"weight": weight, "steps": [get(f"/{weight}")]} for weight in (1, 3, 6)]
    bench = Bench.steps({"choice": ways})
    for number in range(2000):
        await bench.vu.iterate(number)
    shares = [paths(bench).count(f"/{weight}") / 2000 for weight in (1, 3, 6)]
    assert shares == pytest.approx([0.1, 0.3, 0.6], abs=0.05)


async def test_a_pause_is_drawn_from_its_range():
    """A fixed one is not drawn."""
    bench = Bench.steps({"think": "2s"}, {"think": "1s..3s"})
    for number in range(300):
        await bench.vu.iterate(number)
    assert set(bench.sleep.slept[::2]) == {2.0}
    drawn = bench.sleep.slept[1::2]
    assert 1 <= min(drawn) < 1.1
    assert 2.9 < max(drawn) <= 3


async def test_a_pause_that_is_cut_short_ends_the_iteration():
    """Nothing is sent after it."""
    bench = Bench.steps({"think": "2s"}, get("/"), sleep=Sleeper(allowed=0))
    assert await bench.vu.iterate(0) is Outcome.INTERRUPTED
    assert bench.client.sent == []


async def test_how_an_iteration_ended_is_counted_once_from_when_it_was_due():
    """Each way to end is one count, from the due time where there is one, and of one that was late from then too."""
    clock = iter([100, 130, 200, 250, 300, 350])
    bench = Bench.steps({"think": "1s"}, clock=lambda: next(clock))
    await bench.vu.iterate(0)
    await bench.vu.iterate(1, 150)
    await bench.vu.iterate(2, 400)
    assert bench.tally.seen == [("completed", 100), ("completed", 150), ("completed", 300)]


@pytest.mark.looptime
async def test_a_cancelled_iteration_passes_the_cancellation_on():
    """The virtual user can be used again."""

    async def sleep(seconds):
        await asyncio.sleep(seconds)
        return True

    bench = Bench.steps({"think": "1h"}, sleep=sleep)
    task = asyncio.create_task(bench.vu.iterate(0))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await bench.vu.iterate(1) is Outcome.COMPLETED
    assert bench.vu.state.iteration == 2
    assert [kind for kind, _ in bench.tally.seen] == ["interrupted", "completed"]


def tags(bench, kind):
    """All tags of series that were recorded to."""
    return [dict(key[1]) for key, series in bench.recorder.series.items() if key[0] == kind and series.records]


async def test_samples_carry_their_tags():
    """The scenario's, the request's, and the system's own, which win."""
    request = {
        "request": {"url": "/a?x=${vu.id}", "method": "PUT", "tags": {"area": "shop", "scenario": "no"}},
        "check": {"status": 200},
    }
    bench = Bench.steps(
        {"group": {"name": "outer", "steps": [{"group": {"name": "inner", "steps": [request]}}]}},
        get("/b"),
        tags={"test_type": "load"},
    )
    await bench.vu.iterate(0)
    inner = {"scenario": "s", "group": "outer::inner", "name": "PUT /a", "area": "shop", "test_type": "load"}
    assert tags(bench, "request") == [
        inner | {"method": "PUT"},
        {"scenario": "s", "group": "", "name": "GET /b", "method": "GET", "test_type": "load"},
    ]
    assert tags(bench, "check") == [inner | {"check": "status is 200"}]


@pytest.mark.parametrize(
    ("answer", "check", "expected"),
    [
        (an_answer(status=200), None, True),
        (an_answer(status=399), None, True),
        (an_answer(status=400), None, False),
        (an_answer(status=199), None, False),
        (an_answer(status=0, error=Failure.CONNECT), None, False),
        (an_answer(status=200, error=Failure.BODY), None, False),
        (an_answer(status=404), {"status": 404}, True),
        (an_answer(status=200), {"status": 404}, False),
        (an_answer(status=500), {"body": "exists"}, False),
        (an_answer(status=200), {"body": "exists"}, True),
        (an_answer(status=0, error=Failure.TIMEOUT), {"status": 200}, False),
    ],
)
async def test_a_request_fails_by_its_status_or_on_its_way(answer, check, expected):
    """Other checks don't fail a request."""
    bench = Bench.steps(get("/", **({"check": check} if check else {})), answers=(answer,))
    assert await bench.vu.iterate(0) is Outcome.COMPLETED
    assert bench.recorder.requests() == {"GET /": [(answer, expected, None)]}


async def test_of_a_request_that_failed_on_its_way_everything_fails():
    """Checks fail, absence too, and variables are empty or have their default."""
    step = get(
        "/",
        check={"status": "1xx", "headers": {"a": "absent"}},
        extract={"a": {"json": "$.a"}, "b": {"header": "b", "default": 5}},
    )
    bench = Bench.steps(step, get("/${a}-${b}"), answers=(an_answer(status=0, error=Failure.RESET), an_answer()))
    assert await bench.vu.iterate(0) is Outcome.COMPLETED
    assert bench.recorder.checks() == {"status is 1xx": [False], "header a absent": [False], "extract a": [False]}
    assert paths(bench) == ["/", "/-5"]


async def test_checks_and_extractions_are_counted_by_name():
    """Those that hold and those that don't."""
    step = get("/", check={"json": {"$.a": 1, "$.b": "exists"}}, extract={"a": {"json": "$.a"}, "b": {"json": "$.b"}})
    bench = Bench.steps(step, answers=(json_answer({"a": 1}), json_answer({"a": 2, "b": 3})))
    await bench.vu.iterate(0)
    await bench.vu.iterate(1)
    assert bench.recorder.checks() == {
        "json $.a is 1": [True, False],
        "json $.b exists": [False, True],
        "extract a": [True, True],
        "extract b": [False, True],
    }


async def test_only_the_first_request_is_charged_with_a_late_beginning():
    """The later ones are due when the journey reaches them."""
    answer = an_answer(started=5_000)
    bench = Bench.steps(get("/a"), get("/b"), answers=(answer,), clock=lambda: 1_000)
    for due in (700, 1_000, 2_000, None):
        await bench.vu.iterate(0, due)
    requests = bench.recorder.requests()
    assert [due for _, _, due in requests["GET /a"]] == [4_700, 5_000, 5_000, None]
    assert [due for _, _, due in requests["GET /b"]] == [None] * 4


async def test_a_late_beginning_is_charged_but_a_pause_before_the_first_request_is_not():
    """The request was due so much later itself."""
    bench = Bench.steps({"think": "1h"}, get("/"), answers=(an_answer(started=3_600_000_000_900),), clock=lambda: 1_000)
    await bench.vu.iterate(0, 900)
    ((_, _, due),) = bench.recorder.requests()["GET /"]
    assert due == 3_600_000_000_800


async def test_each_redirect_is_a_request_of_its_own():
    """The first of them is charged with a late beginning, and none of them fails."""
    hops = (an_answer(status=302, started=100), an_answer(status=307, started=200))
    answer = an_answer(status=500, hops=hops, started=300)
    bench = Bench.steps(get("/", check={"status": 200}), answers=(answer,), clock=lambda: 30)
    await bench.vu.iterate(0, 20)
    assert bench.recorder.requests() == {"GET /": [(hops[0], True, 90), (hops[1], True, None), (answer, False, None)]}


async def test_each_iteration_begins_anew():
    """Without variables and cookies of the last; connections stay."""
    bench = Bench.steps(get("/${token}", extract={"token": {"json": "$.t"}}), answers=(json_answer({"t": "x"}),))
    await bench.vu.iterate(0)
    await bench.vu.iterate(1)
    assert paths(bench) == ["/", "/"]
    assert bench.client.kept == [0, 0]
    assert not bench.client.closed
    await bench.vu.close()
    assert bench.client.closed


async def test_iterations_are_counted_by_virtual_user_and_by_scenario():
    """Templates see both."""
    bench = Bench.steps(get("/${vu.iteration}/${iteration}/${vu.id}"))
    for number in (10, 14):
        await bench.vu.iterate(number)
    assert paths(bench) == ["/0/10/7", "/1/14/7"]


async def test_a_value_that_does_not_fit_fails_the_iteration_and_is_told_a_few_times():
    """It is counted by kind, and the virtual user goes on."""
    bench = Bench.steps(get("/${random.int(1, low)}"))
    outcomes = [await bench.vu.iterate(number) for number in range(20)]
    assert outcomes == [Outcome.FAILED] * 20
    key = ("counter", "iterations_failed", (("error", "ValueFault"), ("scenario", "s")))
    assert bench.recorder.series[key].records == [1] * 20
    assert len(bench.log) == 5
    assert "scenario s: an iteration failed: '' is no number" in bench.log[0]


async def test_rows_are_taken_as_an_iteration_begins():
    """One of each source that the steps read, the same for all its steps."""
    data = {
        "used": PlanData(order="unique", rows=[{"a": 1}, {"a": 2}]),
        "unused": PlanData(order="unique", rows=[{"a": 1}]),
    }
    bench = Bench.steps(get("/${data.used.a}"), get("/${data.used.a}/again"), data=data)
    outcomes = [await bench.vu.iterate(number) for number in range(3)]
    assert outcomes == [Outcome.COMPLETED, Outcome.COMPLETED, Outcome.EXHAUSTED]
    assert paths(bench) == ["/1", "/1/again", "/2", "/2/again"]
    assert bench.recorder.exhausted == ["used"]


async def test_virtual_users_draw_different_numbers():
    """From one seed, each from its own."""
    bench = Bench.steps(get("/${random.int(1, 1000000000)}"))
    for vu_id in (1, 2, 3, 1):
        await bench.journey.new_vu(vu_id, bench.tally).iterate(0)
    one, two, three, one_again = paths(bench)
    assert one == one_again
    assert all(a != b for a, b in pairwise((one, two, three)))
