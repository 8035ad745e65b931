"""The runner's percentiles against servers that inject latencies and write down what each request really took."""

from dataclasses import dataclass

from benchmarks.honesty import ours
from benchmarks.honesty.target import Target, answering, quantile

LAWS = {
    "constant 5 ms": (("constant", "5"), 5.0),
    "9 of 10 at 2 ms, 1 at 50 ms": (("bimodal", "2", "50", "0.1"), 6.8),
    "lognormal, median 5 ms, sigma 1": (("lognormal", "5", "1"), 8.24),
}
"""By name: what the server is told, and the mean in ms that comes of it."""

PARTS = (0.1, 0.8)
"""Of the highest rate."""

QUANTILES = (0.5, 0.9, 0.95, 0.99)
RELATIVE, ABSOLUTE_MS = 0.01, 0.2
_CONNECTIONS = 64


@dataclass(frozen=True)
class Row:
    """A run: asked and reached rates, and the true and the measured percentiles in ms."""

    law: str
    model: str
    part: float
    rate: float
    truth: tuple[float, ...]
    said: tuple[float, ...]
    doubts: tuple[str, ...]

    @property
    def off(self) -> float:
        """The worst percentile's distance from the truth, in parts of what is allowed: 1 is the limit."""
        return max(abs(b - a) / (RELATIVE * a + ABSOLUTE_MS) for a, b in zip(self.truth, self.said, strict=True))


def highest_rate(core: int, server_core: int, seconds: float) -> float:
    """Requests per second of a closed loop against a server that answers at once."""
    with answering(server_core, "constant", "0") as target:
        ran = ours.run(target.url, core, _closed(_CONNECTIONS, seconds), seconds)
    return ran.requests / seconds


def rows(core: int, server_core: int, seconds: float, highest: float) -> list[Row]:
    """Each law, each model, each part of the highest rate."""
    return [
        _row(law, model, part, highest, (core, server_core, seconds))
        for law in LAWS
        for model in ("closed", "open")
        for part in PARTS
    ]


def _row(law: str, model: str, part: float, highest: float, where: tuple[int, int, float]) -> Row:
    core, server_core, seconds = where
    words, mean = LAWS[law]
    busy = max(1, round(part * highest * mean / 1e3))
    scenario = _closed(busy, seconds) if model == "closed" else _open(round(part * highest), 3 * busy + 100, seconds)
    with answering(server_core, *words) as target:
        ran = ours.run(target.url, core, scenario, seconds)
    said = tuple(ran.quantile(q) for q in QUANTILES)
    return Row(law, model, part, ran.requests / seconds, _truth(target), said, ran.doubts)


def _truth(target: Target) -> tuple[float, ...]:
    return tuple(quantile(target.latencies, q) for q in QUANTILES)


def _closed(vus: int, seconds: float) -> dict[str, object]:
    return {"executor": "constant-vus", "vus": vus, "duration": f"{seconds:g}s"}


def _open(rate: int, vus: int, seconds: float) -> dict[str, object]:
    return {
        "executor": "constant-arrival-rate",
        "rate": rate,
        "duration": f"{seconds:g}s",
        "preAllocatedVUs": vus,
    }
