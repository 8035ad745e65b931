"""What the runners of each run say, kept as long as the run needs it and merged on demand.

Nothing here is needed to go on after a restart: every snapshot holds all counts since the start, so the next poll
brings back what was forgotten.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from loadgate.control import LOG_PREFIX, RunnerState, Start, Stop, Teardown
from loadgate.metrics import Snapshot, SnapshotError, merge_all
from loadgate_operator.collect.answers import Runner, RunnerAnswer
from loadgate_operator.collect.client import RunnerFaultError, decompressed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from loadgate.control import RunnerReport
    from loadgate.metrics import Measurement
    from loadgate_operator.collect.client import RunnerClient

    _Call = Callable[[Runner], Awaitable[RunnerReport]]

logger = logging.getLogger(__name__)

MOST_HELD = 1 << 30
"""Bytes of snapshots, as documents, that are held where nothing else is said."""

_MOST_SALVAGED = 24 << 20
_LONGEST_FAULT = 300  # characters: it goes into statuses, and may quote what a runner said
_RATE_OVER = 1.0  # seconds
_OVER = {RunnerState.FINISHED, RunnerState.FAILED}
_HAS_SNAPSHOTS = {RunnerState.RUNNING, RunnerState.STOPPING, *_OVER}


@dataclass
class _Known:
    """What is known of one run's runners, by pod uid, and the last sights of its request count with their times.

    `sizes` are bytes of the documents whose contents are held of each.
    """

    answers: dict[str, RunnerAnswer] = field(default_factory=dict)
    full: dict[str, Snapshot] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    sights: list[tuple[float, int]] = field(default_factory=list)


class Collector:
    """Talks with runners, many at a time. No call raises for anything that a runner does or doesn't do."""

    def __init__(
        self,
        client: RunnerClient,
        clock: Callable[[], float],
        scraped: Callable[[int, int], None] | None = None,
        *,
        most_held: int = MOST_HELD,
    ) -> None:
        """`clock` tells Unix seconds; `scraped` is told how many runners answered each poll, and how many didn't.

        A snapshot that would make it more than `most_held` bytes of all runs is as good as none.
        """
        self._most_held = most_held
        self._held = 0
        self._client = client
        self._clock = clock
        self._scraped = scraped
        self._runs: dict[str, _Known] = {}

    async def poll(self, runners: Sequence[Runner], *, full: bool = False) -> list[RunnerAnswer]:
        """The state of each, and the snapshot of those that have one; with slices if `full` or over.

        Without slices nothing tells of a warm-up's requests, so `rate` needs `full` until that is over.
        """
        answers = list(await asyncio.gather(*(self._poll(runner, full=full) for runner in runners)))
        for run in {runner.run for runner in runners}:
            self._see(run)
        if self._scraped is not None:
            silent = sum(1 for answer in answers if answer.fault)
            self._scraped(len(answers) - silent, silent)
        return answers

    async def arm(self, runners: Sequence[Runner]) -> list[RunnerAnswer]:
        """Remind each to arm."""
        return await self._each(runners, self._client.arm)

    async def setup(self, runner: Runner) -> RunnerAnswer:
        """Have one runner run the setup block."""
        return await self._say(runner, self._client.setup)

    async def start(
        self, runners: Sequence[Runner], *, begin: float, setup: Mapping[str, Any] | None = None
    ) -> list[RunnerAnswer]:
        """Have each begin at the instant `begin` of our clock, or, if that is past, at its place in the schedule."""

        def message(run: str) -> Start:
            # Made when it goes out, so that what others took to answer delays nobody.
            left = begin - self._clock()
            return Start(run=run, in_seconds=max(left, 0.0), offset=max(-left, 0.0), setup=dict(setup or {}))

        return await self._each(runners, lambda one: self._client.start(one, lambda: message(one.run)))

    async def stop(self, runners: Sequence[Runner], *, graceful: bool, reason: str) -> list[RunnerAnswer]:
        """End the load of each."""
        return await self._each(
            runners, lambda one: self._client.stop(one, Stop(run=one.run, graceful=graceful, reason=reason))
        )

    async def teardown(self, runner: Runner, *, setup: Mapping[str, Any] | None = None) -> RunnerAnswer:
        """Have one runner run the teardown block."""
        message = Teardown(run=runner.run, setup=dict(setup or {}))
        return await self._say(runner, lambda one: self._client.teardown(one, message))

    async def ack(self, runners: Sequence[Runner]) -> list[RunnerAnswer]:
        """Tell each which of its full snapshots we hold; says nothing to those of which we hold none."""
        held = {runner.uid: self._known(runner.run).full.get(runner.uid) for runner in runners}
        sequences = {uid: snapshot.sequence for uid, snapshot in held.items() if snapshot is not None}
        ready = [runner for runner in runners if runner.uid in sequences]
        return await self._each(ready, lambda one: self._client.ack(one, sequences[one.uid]))

    def salvage(self, runner: Runner, log: str) -> RunnerAnswer:
        """Take a runner's last snapshot from its pod's log, where it has one."""
        for line in reversed(log.splitlines()):
            _, found, encoded = line.partition(LOG_PREFIX)
            if not found:
                continue
            try:
                data = decompressed(base64.b64decode(encoded.strip(), validate=True), _MOST_SALVAGED)
                snapshot = Snapshot.decode(data)
            except (binascii.Error, RunnerFaultError, SnapshotError) as error:
                logger.warning(
                    "run %s, runner %d: an unreadable snapshot in its log: %s", runner.run, runner.index, error
                )
                continue
            if (snapshot.run, snapshot.uid) == (runner.run, runner.uid):
                with contextlib.suppress(RunnerFaultError):  # there is no room for it, which was logged
                    self._hold(runner, snapshot, full=True)
                break
        return self._answer(runner)

    def answers(self, run: str) -> list[RunnerAnswer]:
        """What is known of each runner of a run, by index."""
        return sorted(self._known(run).answers.values(), key=lambda answer: answer.index)

    def snapshots(self, run: str, uids: Iterable[str] | None = None) -> list[Snapshot]:
        """The newest snapshot of each runner (or of those with these uids), full where one as new is held."""
        known = self._known(run)
        wanted = known.answers if uids is None else set(uids)
        return [
            _fuller(answer.snapshot, known.full.get(uid))
            for uid, answer in sorted(known.answers.items())
            if uid in wanted and answer.snapshot is not None
        ]

    def merged(self, run: str, uids: Iterable[str] | None = None) -> Measurement:
        """What all runners of a run, or those with these uids, measured so far."""
        return merge_all(snapshot.measurement for snapshot in self.snapshots(run, uids))

    def rate(self, run: str) -> float:
        """Requests per second now: over the last second or more, as far as polls go back; 0 before there were two."""
        sights = self._known(run).sights
        if len(sights) < 2:
            return 0.0
        (before, fewer), (after, more) = sights[0], sights[-1]
        return max(more - fewer, 0) / (after - before) if after > before else 0.0

    def forget(self, run: str) -> None:
        """Let go of a run that is over."""
        known = self._runs.pop(run, None)
        self._held -= sum(known.sizes.values()) if known else 0

    async def _poll(self, runner: Runner, *, full: bool) -> RunnerAnswer:
        """Ask for all that is wanted of a runner. One that tells its state and nothing more has not answered."""
        try:
            report = await self._client.state(runner)
            self._hear(runner, report)
            if self._has_news(runner, report):
                view: Literal["live", "full"] = "full" if full or report.state in _OVER else "live"
                self._hold(runner, await self._client.snapshot(runner, view), full=view == "full")
        except RunnerFaultError as error:
            return self._fail(runner, error)
        answered = replace(self._answer(runner), silent_since=None, silent_until=None, fault="")
        return self._put(runner, answered)

    def _has_news(self, runner: Runner, report: RunnerReport) -> bool:
        """Whether its snapshot is to be asked for."""
        if report.state not in _OVER:
            return report.state in _HAS_SNAPSHOTS
        held = self._known(runner.run).full.get(runner.uid)
        return held is None or held.state not in _OVER or held.sequence < report.sequence

    async def _each(self, runners: Sequence[Runner], call: _Call) -> list[RunnerAnswer]:
        return list(await asyncio.gather(*(self._say(runner, call) for runner in runners)))

    async def _say(self, runner: Runner, call: _Call) -> RunnerAnswer:
        try:
            report = await call(runner)
        except RunnerFaultError as error:
            return self._fail(runner, error)
        return self._hear(runner, report)

    def _hear(self, runner: Runner, report: RunnerReport) -> RunnerAnswer:
        return self._put(runner, replace(self._answer(runner), report=report, answered_at=self._clock()))

    def _fail(self, runner: Runner, error: RunnerFaultError) -> RunnerAnswer:
        before = self._answer(runner)
        if not before.fault:
            logger.info("run %s, runner %d (%s): %.500s", runner.run, runner.index, runner.url, error)
        now = self._clock()
        since = now if before.silent_since is None else before.silent_since
        fault = str(error)[:_LONGEST_FAULT]
        return self._put(runner, replace(before, silent_since=since, silent_until=now, fault=fault))

    def _hold(self, runner: Runner, snapshot: Snapshot, *, full: bool) -> None:
        """Keep it where it is as new. Raises RunnerFaultError where there is no room for it."""
        self._make_room(runner, snapshot)
        before = self._answer(runner)
        if before.snapshot is None or snapshot.sequence >= before.snapshot.sequence:
            self._put(runner, replace(before, snapshot=snapshot))
        held = self._known(runner.run).full
        if full and (runner.uid not in held or snapshot.sequence >= held[runner.uid].sequence):
            held[runner.uid] = snapshot
        elif held.get(runner.uid, snapshot).sequence < snapshot.sequence:
            # Older than what is known: it is of no use but for its slices, which the last one brings.
            del held[runner.uid]

    def _make_room(self, runner: Runner, snapshot: Snapshot) -> None:
        """Count a snapshot in the place of what there is of its runner."""
        sizes = self._known(runner.run).sizes
        held = self._held - sizes.get(runner.uid, 0)
        if held + snapshot.size > self._most_held:
            mega = 1 << 20
            raise RunnerFaultError(
                f"no room: it measured {snapshot.size / mega:.1f} MB, and the operator holds {held / mega:.1f} of "
                f"{self._most_held / mega:.0f} MB already; raise its memory limit, or ask for fewer names or runners"
            )
        sizes[runner.uid] = snapshot.size
        self._held = held + snapshot.size

    def _see(self, run: str) -> None:
        known = self._known(run)
        snapshots = [answer.snapshot for answer in known.answers.values() if answer.snapshot is not None]
        count = sum(_requests(snapshot.measurement) for snapshot in snapshots)
        now = self._clock()
        known.sights.append((now, count))
        # Polls may follow each other closely; a rate over a few milliseconds would only flicker.
        while len(known.sights) > 2 and now - known.sights[1][0] >= _RATE_OVER:
            known.sights.pop(0)

    def _known(self, run: str) -> _Known:
        return self._runs.setdefault(run, _Known())

    def _answer(self, runner: Runner) -> RunnerAnswer:
        return self._known(runner.run).answers.get(runner.uid) or RunnerAnswer(runner.index, runner.uid)

    def _put(self, runner: Runner, answer: RunnerAnswer) -> RunnerAnswer:
        self._known(runner.run).answers[runner.uid] = answer
        return answer


def _requests(measurement: Measurement) -> int:
    """All requests where slices tell of them, else the judged ones: a live view has no more, and needs no more."""
    judged = sum(stats.duration.count for stats in measurement.requests.values())
    return max(judged, sum(piece.requests for piece in measurement.slices.by_index.values()))


def _fuller(newest: Snapshot, full: Snapshot | None) -> Snapshot:
    return full if full is not None and full.sequence >= newest.sequence else newest
