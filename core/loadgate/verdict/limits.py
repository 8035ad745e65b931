"""What became of one limit: its actual value, whether it held, and how much room was left."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from loadgate.verdict.figures import against, precise

if TYPE_CHECKING:
    from loadgate.api.grammar.threshold import Expression

THRESHOLD = "threshold"
"""The source of a limit from spec.thresholds; one from a budget has `budget/NAME`."""


@dataclass(frozen=True)
class LimitResult:
    """One limit, judged.

    `limit` and `actual` are for people, `limit_value` and `actual_value` are the same as numbers in `unit` (one of
    figures.py's); `op` is how they compare. `passed` is None where there was no sample to judge. `margin` is the room
    left as a share of the limit: 0.2 is 20 % to spare, -0.5 is broken by half; None where a share says nothing (a
    limit of 0, or `==`). `enforced` is False for a budget that only warns. `volume` marks a limit that asks for at
    least so much work: less load than planned makes such a figure worse, not better. `ended_run` marks one that was
    broken while load was on and, by `abortOnFail`, ended the run.
    """

    source: str
    subject: str
    expression: str
    op: str
    limit: str
    limit_value: float
    unit: str
    actual: str | None
    actual_value: float | None
    passed: bool | None
    margin: float | None
    enforced: bool = True
    volume: bool = False
    ended_run: bool = False

    @property
    def broken(self) -> bool:
        """Whether it was judged and didn't hold."""
        return self.passed is False

    def sentence(self) -> str:
        """`products p95 is 412ms, the limit is 300ms (budget/shop)`."""
        found = "has no sample" if self.actual is None else f"is {self.actual}"
        least = self.op in {">", ">="}
        return f"{self.subject} {found}, the {'least' if least else 'limit'} is {self.limit} ({self.source})"

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**document)


@dataclass(frozen=True)
class Limit:
    """A limit to judge: where it is from, what it is about, and the unit that its number is in."""

    source: str
    enforced: bool
    subject: str
    expression: Expression
    unit: str
    written: str = ""
    volume: bool = False

    def judge(self, actual: float | None) -> LimitResult:
        """Compare with what was measured; None is no sample."""
        expression = self.expression
        wanted = expression.value
        return LimitResult(
            source=self.source,
            subject=self.subject,
            expression=self.written or str(expression),
            op=expression.op,
            limit=precise(wanted, self.unit),
            limit_value=wanted,
            unit=self.unit,
            actual=None if actual is None else against(actual, wanted, self.unit),
            actual_value=actual,
            passed=None if actual is None else expression.holds(float(actual)),
            margin=None if actual is None else margin(expression.op, wanted, actual),
            enforced=self.enforced,
            volume=self.volume,
        )


def margin(op: str, limit: float, actual: float) -> float | None:
    """The room left as a share of the limit; negative when it is broken."""
    if not limit or op in {"==", "!="}:
        return None
    room = limit - actual if op in {"<", "<="} else actual - limit
    return room / abs(limit)
