"""What is known of runners: the newest, however answers come; and starting them together."""

import asyncio
import base64
import random

import orjson
import pytest
import zstandard
from fake_exchange import exchange_of, reply
from hypothesis import given
from hypothesis import strategies as st

from loadgate.control import LOG_PREFIX, RunnerReport, RunnerState
from loadgate.metrics import Histogram, Measurement, RequestStats, Snapshot, tags_of
from loadgate_operator.collect import ClientLimits, Collector, Runner, RunnerClient

TAGS = tags_of(name="a")


def measurement(requests):
    return Measurement(requests={TAGS: RequestStats(duration=Histogram([1000] * requests))})


def snapshot_of(runner, sequence, requests, state="Running"):
    return Snapshot(
        run=runner.run,
        runner=runner.index,
        uid=runner.uid,
        sequence=sequence,
        clock=0.0,
        state=state,
        elapsed=float(sequence),
        measurement=measurement(requests),
    )


class FakeRunner:
    """A runner behind a transport: it says what it is told to say."""

    def __init__(self, index=0, run="r"):
        self.runner = Runner(run=run, index=index, uid=f"u-{index}", url=f"http://runner-{index}", token="t")
        self.state = RunnerState.ARMED
        self.sequence = 0
        self.requests = 0
        self.latency = 0.0
        self.broken = False
        self.mumbles = False
        self.messages = []
        self.received = []

    async def answer(self, request):
        self.received.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.latency)
        if self.broken:
            return reply(500)
        if request.path == "/snapshot" and self.mumbles:
            return reply(200, content=b"well, ...")
        if request.path == "/snapshot":
            return reply(200, content=snapshot_of(self.runner, self.sequence, self.requests, self.state).encode())
        self.messages.append((request.path, orjson.loads(request.body or b"{}")))
        report = RunnerReport(
            run=self.runner.run, index=self.runner.index, uid=self.runner.uid, state=self.state, sequence=self.sequence
        )
        return reply(200, content=report.encode())


def collector_of(*fakes, clock=lambda: 0.0, **limits):
    by_host = {f"runner-{fake.runner.index}": fake for fake in fakes}

    async def handler(request):
        return await by_host[request.host].answer(request)

    return Collector(RunnerClient(ClientLimits(**limits), exchange_of(handler)), clock)


async def test_a_runner_that_has_not_begun_has_no_snapshot():
    """Armed runners are asked for their state alone."""
    fake = FakeRunner()
    (answer,) = await collector_of(fake).poll([fake.runner])
    assert answer.report.state == RunnerState.ARMED
    assert answer.snapshot is None
    assert answer.fault == ""


async def test_silence_keeps_what_was_known_and_says_since_when():
    """A runner that stops answering keeps its last good answer; silence counts from the first vain call."""
    now = [100.0]
    fake = FakeRunner()
    collector = collector_of(fake, clock=lambda: now[0])
    fake.state, fake.sequence, fake.requests = RunnerState.RUNNING, 1, 5
    await collector.poll([fake.runner])
    fake.broken = True
    for now[0] in (110.0, 120.0):
        (answer,) = await collector.poll([fake.runner])
    assert answer.silent_since == 110.0
    assert answer.silent_for == 10.0
    assert answer.answered_at == 100.0
    assert answer.fault == "status 500"
    assert answer.snapshot.sequence == 1
    fake.broken = False
    (answer,) = await collector.poll([fake.runner])
    assert answer.silent_since is None
    assert answer.silent_for == 0.0
    assert answer.fault == ""


async def test_a_runner_that_tells_its_state_and_nothing_more_is_silent(caplog):
    """Without the snapshot that it should have, its words count for nothing, and that is logged once."""
    now = [100.0]
    fake = FakeRunner()
    collector = collector_of(fake, clock=lambda: now[0])
    fake.state, fake.mumbles = RunnerState.RUNNING, True
    caplog.set_level("INFO", "loadgate_operator")
    for now[0] in (100.0, 110.0, 120.0):
        (answer,) = await collector.poll([fake.runner])
        await collector.stop([fake.runner], graceful=True, reason="")
    assert answer.silent_for == 20.0
    assert answer.report.state is RunnerState.RUNNING
    assert len(caplog.records) == 1


@given(st.permutations(range(1, 7)), st.randoms())
def test_the_newest_snapshot_wins_in_whatever_order_they_come(order, rng):
    """Late and repeated snapshots never take a newer one's place."""
    fake = FakeRunner()
    collector = collector_of(fake)
    for sequence in [*order, *rng.sample(order, 3)]:
        line = (
            LOG_PREFIX
            + base64.b64encode(zstandard.compress(snapshot_of(fake.runner, sequence, sequence).encode())).decode()
        )
        answer = collector.salvage(fake.runner, f"noise\n{line}\nmore noise")
    assert answer.snapshot.sequence == 6
    assert collector.merged("r").requests[TAGS].duration.count == 6


async def test_runners_are_merged():
    """The merged measurement is the sum over runners, or over those that are asked for."""
    fakes = [FakeRunner(i) for i in range(3)]
    for fake in fakes:
        fake.state, fake.sequence, fake.requests = RunnerState.RUNNING, 1, 10**fake.runner.index
    collector = collector_of(*fakes)
    await collector.poll([fake.runner for fake in fakes])
    assert collector.merged("r").requests[TAGS].duration.count == 111
    assert collector.merged("r", ["u-1"]).requests[TAGS].duration.count == 10
    assert [answer.index for answer in collector.answers("r")] == [0, 1, 2]
    collector.forget("r")
    assert collector.answers("r") == []


async def test_the_rate_is_that_of_the_last_seconds():
    """Requests per second now, not since the start; polls that follow closely don't make it flicker."""
    now = [0.0]
    fake = FakeRunner()
    fake.state = RunnerState.RUNNING
    collector = collector_of(fake, clock=lambda: now[0])
    assert collector.rate("r") == 0.0
    for now[0], fake.sequence, fake.requests in [(10.0, 1, 1000), (12.0, 2, 1100), (14.0, 3, 1500), (14.01, 4, 1500)]:
        await collector.poll([fake.runner])
    assert collector.rate("r") == pytest.approx(200.0, rel=0.01)


async def test_a_finished_runner_gives_its_full_snapshot_once():
    """The last snapshot comes with slices, is not fetched again, and is what is acknowledged."""
    fake = FakeRunner()
    fake.state, fake.sequence, fake.requests = RunnerState.FINISHED, 9, 5
    collector = collector_of(fake)
    await collector.poll([fake.runner])
    calls = len(fake.received)
    await collector.poll([fake.runner])
    assert len(fake.received) - calls == 1
    await collector.ack([fake.runner])
    assert fake.messages[-1] == ("/ack", {"run": "r", "sequence": 9})


async def test_nothing_is_acknowledged_that_we_do_not_hold():
    """Without a full snapshot of a runner there is nothing to acknowledge: it must not exit yet."""
    fake = FakeRunner()
    fake.state, fake.sequence = RunnerState.RUNNING, 1
    collector = collector_of(fake)
    await collector.poll([fake.runner])
    assert await collector.ack([fake.runner]) == []


@pytest.mark.looptime
async def test_runners_start_together_however_long_each_takes_to_answer():
    """Receipt plus `in_seconds` is one instant for all, though messages go out one after another."""
    loop = asyncio.get_running_loop()
    fakes = [FakeRunner(i) for i in range(20)]
    for fake in fakes:
        fake.latency = random.Random(fake.runner.index).uniform(0.0, 2.0)
    # Two calls at a time: the last messages go out seconds after the first.
    collector = collector_of(*fakes, clock=loop.time, concurrency=2)
    begin = loop.time() + 30.0
    await collector.start([fake.runner for fake in fakes], begin=begin, setup={"a": 1})
    begun = [fake.received[0] + fake.messages[0][1]["in_seconds"] for fake in fakes]
    assert max(fake.received[0] for fake in fakes) - min(fake.received[0] for fake in fakes) > 1.0
    assert begun == pytest.approx([begin] * 20, abs=1e-3)
    assert all(fake.messages[0][1]["offset"] == 0.0 for fake in fakes)
    assert all(fake.messages[0][1]["setup"] == {"a": 1} for fake in fakes)


async def test_a_late_start_is_told_its_place_in_the_schedule():
    """Whoever is told after the instant begins at once, at the offset that has passed."""
    fake = FakeRunner()
    await collector_of(fake, clock=lambda: 107.5).start([fake.runner], begin=100.0)
    path, message = fake.messages[0]
    assert path == "/start"
    assert message["in_seconds"] == 0.0
    assert message["offset"] == pytest.approx(7.5)


@pytest.mark.looptime
async def test_one_hung_runner_holds_up_no_other():
    """A poll of many lasts as long as the slowest's time limit, and the others' answers are there."""
    fakes = [FakeRunner(i) for i in range(5)]
    fakes[2].latency = 3600.0
    answers = await collector_of(*fakes).poll([fake.runner for fake in fakes])
    assert [bool(answer.fault) for answer in answers] == [False, False, True, False, False]
    assert asyncio.get_running_loop().time() < 10


@pytest.mark.parametrize("line", ["!!!", base64.b64encode(b"garbage").decode(), ""])
def test_a_damaged_line_in_a_log_is_passed_over(line):
    """What can't be read in a log is no snapshot, and no error."""
    fake = FakeRunner()
    collector = collector_of(fake)
    assert collector.salvage(fake.runner, LOG_PREFIX + line).snapshot is None


def test_the_snapshot_of_another_run_in_a_log_is_not_taken():
    """A log line counts only for the run and the pod that it names."""
    fake, other = FakeRunner(), FakeRunner(run="other")
    data = snapshot_of(other.runner, 1, 1).encode()
    line = LOG_PREFIX + base64.b64encode(zstandard.compress(data)).decode()
    assert collector_of(fake).salvage(fake.runner, line).snapshot is None
