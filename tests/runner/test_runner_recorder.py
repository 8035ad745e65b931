"""The recorder: what is judged and what is warm-up, how samples split, how series stay bounded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgate.metrics import Histogram, matches, tags_of
from loadgate_runner.http import Failure, Response
from loadgate_runner.telemetry.recorder import Recorder

MS = 1_000_000
SECOND = 1_000 * MS


@dataclass
class FakeClock:
    """Nanoseconds that a test sets."""

    now: int = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


def response_of(
    started: int,
    ended: int,
    *,
    status: int = 200,
    error: Failure | None = None,
    duration: int = -1,
    blocked: int = 0,
    connecting: int = 0,
    tls: int = 0,
    sending: int = 0,
    waiting: int = 0,
    receiving: int = 0,
    reused: bool = True,
) -> Response:
    """What the recorder reads off an HTTP response."""
    response = Response()
    response.started, response.ended = started, ended
    response.status, response.error, response.reused = status, error, reused
    response.duration = (ended - started) // 1000 if duration < 0 else duration
    response.connecting, response.tls, response.sending, response.waiting = connecting, tls, sending, waiting
    response.blocked, response.receiving = blocked, receiving
    response.sent, response.received = 100, 1000
    response.hops = ()
    return response


@dataclass
class Bench:
    """A recorder that began `warmup` seconds before what is judged."""

    warmup: float = 0.0
    most: int = 1000
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.clock, most_series=self.most)
        self.origin = self.clock.now
        self.recorder.begin(self.origin, self.warmup)
        self.tags = tags_of(scenario="s", name="home", method="GET", group="")
        self.home = self.recorder.request_series(self.tags)

    def answer(self, at: float, ms: float = 10, **more) -> Response:
        started = self.origin + round(at * SECOND)
        return response_of(started, started + round(ms * MS), **more)

    async def measure(self, **more):
        return await self.recorder.measure(**more)


async def test_requests_split_by_status_kind_and_whether_they_were_expected():
    """One handle gives a series per outcome; without a response the status is "0", without an error there's no tag."""
    bench = Bench()
    bench.home.record(bench.answer(0), True, None)
    bench.home.record(bench.answer(0, status=404), False, None)
    bench.home.record(bench.answer(0, status=404), True, None)
    bench.home.record(bench.answer(0, status=0, error=Failure.TIMEOUT), False, None)
    measured = await bench.measure()
    counts = {
        (found["status"], found.get("error"), found["expected_response"]): stats.duration.count
        for tags, stats in measured.requests.items()
        if (found := dict(tags))
    }
    assert counts == {
        ("200", None, "true"): 1,
        ("404", None, "false"): 1,
        ("404", None, "true"): 1,
        ("0", "timeout", "false"): 1,
    }
    assert measured.slices.by_index[0].errors == {"status": 1, "timeout": 1}
    assert measured.slices.by_index[0].failed == 2


async def test_the_open_model_counts_from_when_a_request_was_due():
    """Due 90 ms before it started and answered in 10 ms: 100 ms, with 10 ms as service time; closed has no service."""
    bench = Bench()
    response = bench.answer(1, ms=10)
    bench.home.record(response, True, response.started - 90 * MS)
    other = bench.recorder.request_series(tags_of(scenario="s", name="closed", method="GET", group=""))
    other.record(bench.answer(1, ms=10), True, None)
    measured = await bench.measure()
    opened, closed = (measured.select_requests([("name", name)]) for name in ("home", "closed"))
    assert (opened.duration.maximum, opened.service.maximum) == (100_000, 10_000)
    assert (closed.duration.maximum, closed.service.count) == (10_000, 0)


@pytest.mark.parametrize(
    ("started", "due", "judged"), [(1.99, None, 0), (2.0, None, 1), (2.5, 1.99, 0), (2.5, 2.0, 1), (1.0, None, 0)]
)
async def test_what_is_judged_goes_by_when_it_began_or_was_due(started, due, judged):
    """A warm-up of 2 s: a request of it that ends later isn't judged, but is drawn, and Prometheus sees all."""
    bench = Bench(warmup=2.0)
    due_ns = None if due is None else bench.origin + round(due * SECOND)
    bench.home.record(bench.answer(started, ms=3000), True, due_ns)
    measured = await bench.measure()
    assert measured.request_counts() == (judged, 0)
    assert sum(piece.requests for piece in measured.slices.by_index.values()) == 1
    assert (await bench.measure(warmup=True)).request_counts() == (1, 0)


async def test_iterations_are_counted_by_how_they_ended_and_judged_by_when_they_were_due():
    """Completed, failed, interrupted and dropped are apart; those of the warm-up are only drawn."""
    bench = Bench(warmup=1.0)
    handle = bench.recorder.iteration_series(tags_of(scenario="s"))
    for due in (0.5, 1.5):
        at = bench.origin + round(due * SECOND)
        handle.completed(at, at + 20 * MS)
        handle.failed(at, at + 20 * MS)
        handle.interrupted(at)
        handle.dropped(at)
        bench.clock.now = at
    measured = await bench.measure()
    (stats,) = measured.iterations.values()
    assert (stats.completed, stats.failed, stats.interrupted, stats.dropped) == (1, 1, 1, 1)
    assert stats.duration.maximum == 20_000
    assert [piece.dropped for piece in measured.slices.by_index.values()] == [1, 1]
    assert sum(piece.iterations for piece in measured.slices.by_index.values()) == 4


async def test_judged_time_runs_from_the_warm_up_to_the_end_of_the_load():
    """`elapsed` is 0 in the warm-up, grows after it, and stays when load is over."""
    bench = Bench(warmup=2.0)
    seen = []
    for at in (1, 3, 5):
        bench.clock.now = bench.origin + at * SECOND
        seen.append((await bench.measure()).elapsed)
    bench.recorder.end()
    bench.clock.now += 60 * SECOND
    seen.append((await bench.measure()).elapsed)
    assert seen == [0.0, 1.0, 3.0, 3.0]


async def test_checks_and_metrics_of_the_warm_up_are_not_judged():
    """Only what comes after the warm-up counts."""
    bench = Bench(warmup=1.0)
    recorder = bench.recorder
    check = recorder.check_series(tags_of(scenario="s", name="home", group="", check="status is 200"))
    key = tags_of(scenario="s")
    handles = [recorder.counter("c", key), recorder.gauge("g", key), recorder.rate("r", key), recorder.trend("t", key)]
    for at, value in ((0.5, 7.0), (1.5, 2.5), (2.0, 0.0)):
        bench.clock.now = bench.origin + round(at * SECOND)
        check.record(bool(value))
        for handle in handles:
            handle.add(value)
    measured = await bench.measure()
    (stats,) = measured.checks.values()
    assert (stats.passes, stats.fails) == (1, 1)
    assert measured.counters["c", key].value == 2.5
    assert (measured.gauges["g", key].value, measured.gauges["g", key].maximum) == (0.0, 2.5)
    assert (measured.rates["r", key].passes, measured.rates["r", key].fails) == (1, 1)
    assert measured.trends["t", key].values.maximum == 2500


async def test_a_gauge_is_dated_by_the_run_not_by_the_machine():
    """The newest value of several runners is told by seconds since the common start: their clocks needn't agree."""
    bench = Bench()
    key = tags_of(scenario="s")
    bench.clock.now = bench.origin + 4 * SECOND
    bench.recorder.gauge("depth", key).add(7.0)
    assert (await bench.measure()).gauges["depth", key].at == 4.0


async def test_series_beyond_the_bound_share_one_and_are_counted():
    """A journey that puts an id in each name can't fill the memory, and the loss of tags is known."""
    bench = Bench(most=10)
    for i in range(50):
        bench.recorder.request_series(tags_of(scenario="s", name=f"/p/{i}", method="GET", group="")).record(
            bench.answer(0), True, None
        )
        bench.recorder.check_series(tags_of(scenario="s", name=f"/p/{i}", group="", check="x")).record(True)
        bench.recorder.counter("c", tags_of(scenario="s", item=str(i))).add(1)
    measured = await bench.measure()
    assert len(measured.requests) == 10
    assert measured.request_counts() == (50, 0)
    assert measured.select_requests([("name", "other"), ("scenario", "s")]).duration.count == 41
    assert len(measured.checks) == 11
    assert sum(stats.passes for stats in measured.checks.values()) == 50
    assert sum(stats.value for stats in measured.counters.values()) == 50
    assert bench.recorder.labels_dropped == 41 + 40 + 40


async def test_statuses_beyond_the_bound_share_one_series_too():
    """A target that answers with every status can't fill the memory either."""
    bench = Bench(most=10)
    for status in range(100, 600):
        bench.home.record(bench.answer(0, status=status), True, None)
    measured = await bench.measure()
    assert measured.request_counts() == (500, 0)
    assert bench.recorder.labels_dropped == 490
    assert all(matches(tags, [("name", "home")]) or matches(tags, [("name", "other")]) for tags in measured.requests)


async def test_phases_hold_only_what_took_place():
    """A request on an open connection has no connecting phase; bytes add up."""
    bench = Bench()
    bench.home.record(
        bench.answer(0, reused=False, blocked=5, connecting=300, sending=10, waiting=4000, receiving=20), True, None
    )
    bench.home.record(bench.answer(0, sending=10, waiting=4000), True, None)
    (stats,) = (await bench.measure()).requests.values()
    assert {name: h.count for name, h in stats.phases.items()} == {
        "blocked": 1,
        "connecting": 1,
        "sending": 2,
        "waiting": 2,
        "receiving": 1,
    }
    assert (stats.sent, stats.received) == (200, 2000)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 5_000_000), st.sampled_from("abc")), max_size=60))
def test_slices_and_totals_tell_the_same(samples):
    """Each request is in exactly one slice, that of its end, and in its endpoint's histogram there."""
    bench = Bench()
    ends = []
    for at, us, name in sorted(samples):
        handle = bench.recorder.request_series(tags_of(scenario="s", name=name, method="GET", group=""))
        ended = bench.origin + round(at * SECOND)
        handle.record(response_of(ended - us * 1000, ended), True, bench.origin)
        ends.append(int((ended - bench.origin) // SECOND))
        bench.clock.now = ended
    measured = asyncio.run(bench.measure())
    by_index = measured.slices.by_index
    assert {i: by_index[i].requests for i in by_index if by_index[i].requests} == {i: ends.count(i) for i in ends}
    whole = Histogram()
    for piece in by_index.values():
        whole.merge(piece.duration)
        inner = Histogram()
        for histogram in piece.endpoints.values():
            inner.merge(histogram)
        assert inner.counts == piece.duration.counts
    assert whole.counts == measured.select_requests().duration.counts


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 700), st.sampled_from([1, -1])), max_size=40))
def test_vu_seconds_are_the_area_under_the_number_of_vus(changes):
    """However long the run and however coarse the slices became, their VU seconds sum to the integral."""
    bench = Bench()
    timeline = bench.recorder.timeline
    active, area, last = 0, 0, bench.origin
    for at, change in sorted(changes):
        if active + change < 0:
            continue
        now = bench.origin + round(at * SECOND)
        area += active * (now - last)
        timeline.vus(change, now)
        active, last = active + change, now
    end = bench.origin + 700 * SECOND
    area += active * (end - last)
    bench.clock.now = end
    slices = timeline.view(end)
    assert sum(piece.vu_seconds for piece in slices.by_index.values()) == pytest.approx(area / SECOND, abs=1e-3)
    assert len(slices.by_index) <= 256


async def test_a_long_run_stays_small():
    """Ten hours of one request a second are at most 256 slices, and none of the requests is lost."""
    bench = Bench()
    for at in range(0, 36_000, 7):
        bench.home.record(bench.answer(at), True, None)
        bench.clock.now = bench.origin + at * SECOND
    measured = await bench.measure()
    assert len(measured.slices.by_index) <= 256
    assert measured.slices.width == 256
    assert sum(piece.requests for piece in measured.slices.by_index.values()) == len(range(0, 36_000, 7))


async def test_a_view_does_not_change_what_is_recorded_next():
    """Looking twice, with samples in between, counts each sample once; what was handed out stays as it was."""
    bench = Bench()
    bench.home.record(bench.answer(0.1), True, None)
    bench.clock.now = bench.origin + round(0.2 * SECOND)
    first = await bench.measure()
    bench.home.record(bench.answer(0.3), True, None)
    bench.clock.now = bench.origin + round(1.2 * SECOND)
    second = await bench.measure()
    assert first.slices.by_index[0].requests == 1
    assert second.slices.by_index[0].requests == 2
    assert first.request_counts() == (1, 0)


async def test_only_the_busiest_endpoints_met_first_have_histograms_in_slices():
    """The 51st name still counts in the slice's total."""
    bench = Bench()
    for i in range(60):
        bench.recorder.request_series(tags_of(scenario="s", name=f"n{i}", method="GET", group="")).record(
            bench.answer(0.5), True, None
        )
    piece = (await bench.measure()).slices.by_index[0]
    assert len(piece.endpoints) == 49
    assert piece.requests == 60


async def test_the_slowest_and_the_failed_of_traced_requests_are_kept():
    """Of many the five slowest, and the first two and last two of each kind of failure, with their end in the run."""
    bench = Bench()
    series = bench.recorder.trace_series("home")
    for number in range(20):
        series.keep(f"{number:032x}", bench.answer(number, ms=number + 1), True, None)
    for number in range(20, 30):
        series.keep(f"{number:032x}", bench.answer(number, ms=1, status=503), False, None)
    series.keep("f" * 32, bench.answer(30, ms=1, status=0, error=Failure.RESET), False, None)
    kept = (await bench.measure()).traces["home"]
    assert [trace.duration for trace in kept.slowest] == [20_000, 19_000, 18_000, 17_000, 16_000]
    assert [int(trace.id, 16) for trace in kept.failed["status 503"]] == [20, 21, 28, 29]
    assert [(trace.id, trace.at) for trace in kept.failed["reset"]] == [("f" * 32, 30_001)]
    assert bench.recorder.trace_series("home") is series
    assert (await bench.measure(slices=False)).traces == {}


async def test_a_trace_counts_from_when_it_was_due_and_with_its_redirects():
    """Its time is that of the histograms; redirects on the way add theirs; the warm-up's are not kept."""
    bench = Bench(warmup=2.0)
    series = bench.recorder.trace_series("home")
    series.keep("1" * 32, bench.answer(1.99, ms=900), True, None)
    late = bench.answer(2.5, ms=10)
    series.keep("2" * 32, late, True, late.started - 90 * MS)
    redirected = bench.answer(3.1, ms=20)
    redirected.hops = (bench.answer(3.0, ms=30),)
    series.keep("3" * 32, redirected, True, None)
    early = bench.answer(2.5, ms=10)
    series.keep("4" * 32, early, True, bench.origin + round(1.5 * SECOND))
    kept = (await bench.measure()).traces["home"].slowest
    assert [(trace.id[0], trace.duration) for trace in kept] == [("2", 100_000), ("3", 50_000)]


async def test_endpoints_with_traces_stay_bounded():
    """Beyond the bound on series ids go together under one name."""
    bench = Bench(most=2)
    for number in range(5):
        bench.recorder.trace_series(f"n{number}").keep(f"{number:032x}", bench.answer(number), True, None)
    assert set((await bench.measure()).traces) == {"n0", "n1", "other"}
