"""`shared-iterations` and `per-vu-iterations`: so many iterations, as fast as VUs and target get them done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgate_runner.executors.events import ClosedExecutor, Event, Take
from loadgate_runner.executors.spread import begin_spread, window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgate.plan.schedule import IterationSchedule
    from loadgate.plan.share import Share


@dataclass(frozen=True)
class Iterations(ClosedExecutor):
    """All VUs begin at the start; the scenario is over when the last iteration is, or at `maxDuration`."""

    schedule: IterationSchedule
    share: Share
    by_iterations = True

    @property
    def until(self) -> float:
        """`maxDuration`."""
        return self.schedule.max_duration

    def events(self) -> Iterator[Event]:
        """The share's VUs begin, spread so little that the first doesn't do the others' work."""
        vus = self.schedule.vus
        return begin_spread(0.0, range(vus), self.share, window(vus, self.until) / 10)

    def deal(self) -> Take:
        """Shared iterations go to whichever VU asks; with `per_vu` each VU has its own, one of every lap."""
        return self._deal_own() if self.schedule.per_vu else self._deal_shared()

    def _deal_shared(self) -> Take:
        left = self.share.work(self.schedule.vus, self.schedule.iterations)
        return lambda _vu: next(left, None)

    def _deal_own(self) -> Take:
        vus, laps = self.schedule.vus, self.schedule.iterations
        done: dict[int, int] = {}

        def take(vu: int) -> int | None:
            lap = done.get(vu, 0)
            if lap >= laps:
                return None
            done[vu] = lap + 1
            return lap * vus + vu

        return take
