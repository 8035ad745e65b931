"""A run may be as long as it likes: what is kept of it doesn't grow."""

import asyncio
import contextlib
import functools
import gc
import itertools
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from fake_exchange import exchange_of, reply

from loadgate.control import RunnerReport, RunnerState
from loadgate.metrics import Histogram, Measurement, RequestStats, Snapshot, merge_all, tags_of
from loadgate_operator import memory
from loadgate_operator.collect import ClientLimits, Collector, Runner, RunnerClient
from loadgate_operator.collect.exchange import Answer

RUNNER = Runner(run="r", index=0, uid="u", url="", token="")
TIMES = Histogram(range(1_000, 3_000))


def document(second):
    """A snapshot as it comes over the wire, of a runner that counts on."""
    requests = {tags_of(name=f"endpoint {number}"): RequestStats(duration=TIMES) for number in range(10)}
    measured = Measurement(requests=requests, elapsed=float(second))
    return Snapshot("r", 0, "u", second, float(second), "Running", float(second), measurement=measured).encode()


class Client:
    """Answers each poll with new bytes."""

    second = 0

    async def state(self, runner):
        return RunnerReport(run="r", index=0, uid="u", state=RunnerState.RUNNING)

    async def snapshot(self, runner, view):
        return Snapshot.decode(document(self.second))


@pytest.fixture
def traced():
    """Memory is counted."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def test_a_collector_holds_the_newest_of_each_runner(traced):
    """After 400 polls a collector holds no more than after 40."""
    client = Client()
    collector = Collector(client, lambda: float(client.second))
    held = []
    for client.second in range(400):
        await collector.poll([RUNNER])
        if client.second in (40, 399):
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    assert held[1] - held[0] < 20_000


def test_what_is_merged_is_as_large_as_one(traced):
    """Merging 500 runners' measurements makes one that takes hardly more memory than that of two."""
    decoded = [Snapshot.decode(document(second)).measurement for second in range(500)]
    sizes = []
    for count in (2, 500):
        before = tracemalloc.get_traced_memory()[0]
        merged = merge_all(decoded[:count])
        sizes.append(tracemalloc.get_traced_memory()[0] - before)
        assert merged.request_counts()[0] == count * 10 * TIMES.count
        del merged
    assert sizes[1] < sizes[0] * 1.5


MEGABYTE = 1 << 20
RUNNERS = 64


def plain(content):
    """16 MB as they are."""
    piece = (content * MEGABYTE)[: 1 << 16]
    return lambda _: ("identity", (piece for _ in range(255)))


def packed(content):
    """24 MB of something in a few kB."""
    body = zstandard.compress(b'{"version":2,"x":[' + content * (24 * MEGABYTE // len(content) - 9) + b"1]}")
    return lambda _: ("zstd", iter((body,)))


@functools.cache
def names():
    """What can be judged: 12 MB of names, but for whose they are."""
    requests = {tags_of(name=f"{number:04}".ljust(4000, "n")): RequestStats(duration=TIMES) for number in range(3_000)}
    body = Snapshot("r", 0, "u", 1, 1.0, "Running", 1.0, measurement=Measurement(requests=requests)).encode()
    head, _, tail = body.partition(b'"uid":"u"')
    return head, tail


def named(uid):
    """These names, from a runner."""
    head, tail = names()
    pieces = (tail[place : place + (1 << 16)] for place in range(0, len(tail), 1 << 16))
    return "identity", itertools.chain((head, f'"uid":"{uid}"'.encode()), pieces)


KINDS = {
    "spaces": lambda: plain(b" "),
    "numbers": lambda: plain(b"999,"),
    "packed": lambda: packed(b"1.5,"),
    "parts": lambda: packed(b'{"a":1.5,"b":"c"},'),
    "names": lambda: named,
}


async def ask_all(kind):
    """64 runners that all answer at once with as much as they can; how many could be heard."""
    answer = KINDS[kind]()

    @contextlib.asynccontextmanager
    async def exchange(method, url, headers, body):
        uid = url.split("/")[2]
        if url.endswith("/state"):
            yield reply(200, content=RunnerReport(run="r", index=0, uid=uid, state=RunnerState.RUNNING).encode())
            return
        encoding, chunks = answer(uid)

        async def stream():
            for chunk in chunks:
                yield chunk
                await asyncio.sleep(0)  # as from a network: others may come first

        yield Answer(200, encoding, stream())

    limits = ClientLimits(seconds=300, snapshot_seconds=300, large_seconds=300)
    async with RunnerClient(limits, exchange) as client:
        collector = Collector(client, lambda: 1.0, most_held=128 * MEGABYTE)
        runners = [Runner("r", 0, f"u{number}", f"http://u{number}", "") for number in range(RUNNERS)]
        answers = await collector.poll(runners, full=True)
    return sum(1 for one in answers if not one.fault)


def measure(kind):
    """In a process of its own: how many were heard, and the megabytes that it grew by at most."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    heard = asyncio.run(ask_all(kind))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    sys.stdout.write(f"{heard} {grown}")


@pytest.mark.processes
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_all_runners_answer_at_once_fits(kind):
    """64 runners that each answer with all they may, at the same time, take an operator less than 350 MB."""
    here = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {here!r}); import test_collect_memory as t; t.measure({kind!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    heard, grown = done.stdout.split()
    assert float(grown) < 350
    assert (int(heard) > 5) == (kind == "names")


async def test_what_there_is_no_room_for_is_silent_and_says_what_to_do():
    """A snapshot beyond the room for all is as good as none; what is replaced or forgotten makes room again."""
    size = len(document(10))
    client = Client()
    client.second = 10
    collector = Collector(client, lambda: 1.0, most_held=size * 3 // 2)
    other = Runner(run="other", index=0, uid="u", url="", token="")
    for _ in range(3):
        assert (await collector.poll([RUNNER]))[0].fault == ""
    (answer,) = await collector.poll([other])
    assert answer.snapshot is None
    assert "raise its memory limit" in answer.fault
    collector.forget("r")
    assert (await collector.poll([other]))[0].fault == ""


@pytest.mark.looptime
async def test_large_answers_wait_for_their_turn_without_being_charged_for_it():
    """Of many large answers few are under way at a time, none is late for having waited, and states come meanwhile."""
    under_way, most = 0, 0
    snapshot = Snapshot("r", 0, "u", 1, 1.0, "Running", 1.0).encode()

    async def body():
        nonlocal under_way, most
        yield b" " * 2_000
        under_way += 1
        most = max(most, under_way)
        for _ in range(8):
            await asyncio.sleep(0.5)
            yield b" " * 1_000
        under_way -= 1
        yield snapshot

    def handler(request):
        if request.path == "/state":
            return reply(200, content=RunnerReport("r", 0, "u", RunnerState.RUNNING).encode())
        return Answer(200, "identity", body())

    limits = ClientLimits(small_bytes=1_000, large=2, large_seconds=5.0, snapshot_seconds=1.0, concurrency=1)
    loop = asyncio.get_running_loop()
    async with RunnerClient(limits, exchange_of(handler)) as client:
        asked = [asyncio.ensure_future(client.snapshot(RUNNER, "live")) for _ in range(20)]
        await asyncio.sleep(1)
        begun = loop.time()
        await client.state(RUNNER)
        assert loop.time() - begun < 0.1
        assert all(one.sequence == 1 for one in await asyncio.gather(*asked))
    assert most == 2


@pytest.mark.looptime
async def test_a_large_answer_that_trickles_gives_its_turn_up():
    """Who has its turn and doesn't use it keeps the others waiting no longer than the rest of an answer may take."""

    async def body():
        yield b" " * 2_000
        while True:
            await asyncio.sleep(1)
            yield b" "

    limits = ClientLimits(small_bytes=1_000, large=1, large_seconds=5.0)
    async with RunnerClient(limits, exchange_of(lambda _: Answer(200, "identity", body()))) as client:
        begun = asyncio.get_running_loop().time()
        asked = [client.snapshot(RUNNER, "live") for _ in range(4)]
        faults = await asyncio.gather(*asked, return_exceptions=True)
        assert asyncio.get_running_loop().time() - begun == pytest.approx(20, abs=1)
    assert {str(fault) for fault in faults} == {"no answer within 5s"}


def test_the_room_is_a_quarter_of_what_the_container_may_have(tmp_path):
    """A limit of the container counts where there is one, else the machine's memory; a tiny one leaves some room."""
    limit, none = tmp_path / "max", tmp_path / "none"
    none.write_text("max\n")
    whole = memory.for_snapshots((none, tmp_path / "absent"))
    limit.write_text(f"{512 * MEGABYTE}\n")
    assert memory.for_snapshots((none, limit)) == min(128 * MEGABYTE, whole)
    limit.write_text("1024\n")
    assert memory.for_snapshots((limit,)) == memory.LEAST
