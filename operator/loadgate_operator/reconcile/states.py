"""A LoadTest's phases as a table: what each means, when it is left, and where to. Documentation is made from it.

A status write may be lost with the operator that meant to make it, so a run may be seen to skip phases; it is never
seen to go back. A run that is over is followed by another, or is judged again.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadgate.api.conditions import Phase

UNDER_WAY = (Phase.Pending, Phase.Starting, Phase.Running, Phase.Judging)
"""The phases of a run that isn't over, in their order."""

JUDGED = (Phase.Passed, Phase.Failed, Phase.Inconclusive)
FINAL = (*JUDGED, Phase.Aborted)


class IllegalTransitionError(AssertionError):
    """A decision that no run's life has: a bug in `decide`, and nothing is done of it."""

    def __init__(self, before: Phase, after: Phase) -> None:
        """From `before` no arrow points to `after`."""
        super().__init__(f"a LoadTest never goes from {before} to {after}")


@dataclass(frozen=True)
class State:
    """A row of the table."""

    phase: Phase
    left_when: str
    to: tuple[Phase, ...]

    @property
    def meaning(self) -> str:
        """What the phase says of the test."""
        return self.phase.doc


TABLE: tuple[State, ...] = (
    State(
        Phase.Pending,
        "the spec is valid, it isn't suspended, and nothing of an earlier run is left",
        (Phase.Starting, Phase.Running, Phase.Judging, *FINAL),
    ),
    State(
        Phase.Starting,
        "every runner is armed and setup is done, or the start deadline is over",
        (Phase.Running, Phase.Judging, Phase.Pending, *FINAL),
    ),
    State(
        Phase.Running,
        "every runner is finished or lost, also because an abort threshold, the deadline, suspension or a new spec "
        "ended it",
        (Phase.Judging, Phase.Pending, *FINAL),
    ),
    State(
        Phase.Judging,
        "teardown is done, and the merged result is stored and judged",
        (Phase.Pending, *FINAL),
    ),
    *(
        State(
            phase,
            "a new spec, new inputs, a new rerun value, a retry or the end of a suspension starts another run; limits "
            "that change judge the stored result again",
            (Phase.Pending, *(other for other in JUDGED if other is not phase)),
        )
        for phase in JUDGED
    ),
    State(
        Phase.Aborted,
        "a new spec, new inputs, a new rerun value or the end of a suspension starts another run",
        (Phase.Pending,),
    ),
)

_ARROWS = {state.phase: frozenset((*state.to, state.phase)) for state in TABLE}


def furthest(before: Phase | None, now: Phase) -> Phase:
    """The later of two phases of one run: what an operator can't see for a moment, such as after a crash, was so."""
    if before in UNDER_WAY and now in UNDER_WAY:
        return max(before, now, key=UNDER_WAY.index)
    return now


def check(before: Phase | None, after: Phase | None) -> None:
    """Raise IllegalTransitionError unless a status with phase `after` may replace one with `before`."""
    if before is not None and after is not None and after not in _ARROWS[before]:
        raise IllegalTransitionError(before, after)
