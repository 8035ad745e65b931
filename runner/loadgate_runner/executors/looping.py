"""`constant-vus` and `ramping-vus`: a number of VUs over time, each iterating as long as it is there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, pairwise
from typing import TYPE_CHECKING

from loadgate.plan.pace import vu_changes
from loadgate.plan.schedule import length
from loadgate_runner.executors.events import ClosedExecutor, Event, Retire, Take
from loadgate_runner.executors.spread import begin_spread, window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgate.plan.schedule import VUSchedule
    from loadgate.plan.share import Share


@dataclass(frozen=True)
class Looping(ClosedExecutor):
    """VUs 0 to `vus_at(t)` - 1 iterate at `t`: the last to come is the first to go."""

    schedule: VUSchedule
    share: Share

    @property
    def until(self) -> float:
        """The end of the last stage."""
        return length(self.schedule)

    @property
    def ramp_down(self) -> float:
        """`gracefulRampDown`."""
        return self.schedule.graceful_ramp_down

    def events(self) -> Iterator[Event]:
        """Begins and retirements where the number of VUs changes; the end of all is not one of them."""
        vus = 0
        # The last change is to none at the end, which is gracefulStop's to say; it only bounds the one before it.
        for (at, wanted), (following, _) in pairwise(vu_changes(self.schedule)):
            if wanted > vus:
                within = min(window(wanted - vus, self.until), following - at)
                yield from begin_spread(at, range(vus, wanted), self.share, within)
            else:
                yield from (Retire(at, vu) for vu in reversed(range(wanted, vus)) if self.share.owns(vu))
            vus = wanted

    def deal(self) -> Take:
        """Numbers without end, in the order in which the share's VUs ask."""
        numbers = count(self.share.nth(0), self.share.stride)
        return lambda _vu: next(numbers)
