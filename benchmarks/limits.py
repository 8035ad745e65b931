"""What the figures are held against: each limit, what was measured for it, and whether it holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

COMPILED = "loadgate"
INTERPRETED = "loadgate interpreted"
_TIMES_WRK = {
    ("plain", COMPILED): 1.25,
    ("journey", COMPILED): 1.8,
    ("TLS", COMPILED): 2.5,
    ("plain", INTERPRETED): 1.4,
    ("journey", INTERPRETED): 2.2,
    ("TLS", INTERPRETED): 3.0,
}
_PARTS_OF_K6 = {"journey": (1 / 6, "a sixth"), "TLS": (1 / 2, "half"), "paced": (1 / 3, "a third")}

IDLE_BYTES = 10_000
SLIP_MS = 2.0
P50_MS = 0.1
OPEN_RATIO = 1.2
MANIFEST_RATIO = 1.1
SCALING = 1.9
ARM_SECONDS = 1.0


@dataclass(frozen=True)
class Limit:
    """A figure and its limit, in words; None where what it is held against wasn't measured."""

    what: str
    measured: str
    limit: str
    holds: bool | None


def at_most(what: str, value: float, limit: float, form: str = "{:.2f}") -> Limit:
    """A limit from above."""
    return Limit(what, form.format(value), "at most " + form.format(limit), value <= limit)


def missing(what: str, why: str) -> Limit:
    """A limit that can't be judged."""
    return Limit(what, f"not measured: {why}", "", None)


def cost_limits(costs: Mapping[str, float]) -> Iterator[Limit]:
    """Those on CPU per request, given the medians by "group, name"."""
    for (group, ours), times in _TIMES_WRK.items():
        against = "TLS, wrk" if group == "TLS" else "plain, wrk"
        yield _ratio(f"{group}, {ours}: CPU a request, of wrk's", costs, f"{group}, {ours}", against, times)
    for group, (part, words) in _PARTS_OF_K6.items():
        what = f"{group}, {COMPILED}: CPU a request, of k6's ({words})"
        yield _ratio(what, costs, f"{group}, {COMPILED}", f"{group}, k6", part)
    yield _ratio(
        "open at half the rate: CPU a request, of closed", costs, "open, loadgate", "plain, loadgate", OPEN_RATIO
    )
    path = "journey, loadgate run, whole manifest path"
    yield _ratio(
        "whole manifest path: CPU a request, of the runner's", costs, path, "journey, loadgate", MANIFEST_RATIO
    )


def _ratio(what: str, costs: Mapping[str, float], ours: str, theirs: str, limit: float) -> Limit:
    absent = [key for key in (ours, theirs) if key not in costs]
    return missing(what, " and ".join(absent)) if absent else at_most(what, costs[ours] / costs[theirs], limit)


def open_limits(facts: list[Mapping[str, float]]) -> Iterator[Limit]:
    """Those on arrivals, given each round's."""
    if not facts:
        yield missing("open at half the rate", "the case")
        return
    slip = sorted(fact["slip_p99_ms"] for fact in facts)[len(facts) // 2]
    yield at_most("open at half the rate: schedule slip p99, ms", slip, SLIP_MS)
    asked, begun, dropped = (sum(fact[name] for fact in facts) for name in ("asked", "begun", "dropped"))
    measured = f"{begun:.0f} of {asked:.0f} begun, {dropped:.0f} dropped"
    yield Limit("open at half the rate: arrivals", measured, "exact", begun == asked and not dropped)


def p50_limit(ours: float | None, oha: float | None) -> Limit:
    """On the paced case's median latency, in ms."""
    what = "paced: p50 apart from oha's, ms"
    return missing(what, "oha's p50") if ours is None or oha is None else at_most(what, abs(ours - oha), P50_MS)


def scaling_limit(one: float, two: float) -> Limit:
    """On what a second process on a second core adds."""
    return Limit("two processes on two cores, of one", f"{two / one:.2f}", f"at least {SCALING}", two >= SCALING * one)
