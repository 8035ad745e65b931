"""The cases that are measured in rounds: each a name, a way to run it once, and nothing of what is done with it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks import clients, manifest_path, others
from benchmarks.clients import Setting, Steps
from benchmarks.others import GATLING_WARMUP, Load
from benchmarks.watch import Sample
from loadgate.metrics import Snapshot

PLAIN: Steps = [{"request": {"name": "item", "url": "/item"}}]
JOURNEY: Steps = [
    {
        "request": {"name": "item", "url": "/item?vu=${vu.id}", "headers": {"X-Iteration": "${iteration}"}},
        "check": {"status": 200, "json": {"$.sku": "exists"}},
        "extract": {"id": {"json": "$.id"}},
    },
    {"request": {"name": "again", "url": "/item?id=${id}"}, "check": {"status": 200}},
]
PACED_RATE = 2000
THINK = 64 / PACED_RATE
"""Seconds of think time that make 64 VUs ask about so often in all."""
PACED: Steps = [*PLAIN, {"think": f"{THINK * 1000:g}ms"}]

_OPEN_VUS, _MOST_OPEN_VUS = 64, 512
"""As many connections as in the other cases, and more only where a server pauses for some milliseconds."""

SCRIPTED = ("k6",)
"""Peers that can do the journey."""


@dataclass(frozen=True)
class Case:
    """A row of the table: which group it is compared in, whose it is, and one run of it."""

    group: str
    name: str
    run: Callable[[Load], Sample]

    @property
    def key(self) -> str:
        """Unique among all."""
        return f"{self.group}, {self.name}"


def cases(peers: list[str], loads: Callable[[], int]) -> list[Case]:
    """All cases for these peers, in the order; `loads()` is the rate of the open case."""
    return [
        *(Case("plain", peer, partial(_peer, peer)) for peer in peers),
        Case("plain", "loadgate", _ours(PLAIN)),
        Case("plain", "loadgate interpreted", _ours(PLAIN, compiled=False)),
        Case("plain", "loadgate's client alone", clients.alone),
        Case("plain", "loadgate's client alone, no head seen before", partial(clients.alone, path="/unique")),
        *(Case("journey", peer, partial(_peer, peer, case="journey")) for peer in SCRIPTED if peer in peers),
        Case("journey", "loadgate", _ours(JOURNEY)),
        Case("journey", "loadgate interpreted", _ours(JOURNEY, compiled=False)),
        Case("journey", "loadgate run, whole manifest path", partial(manifest_path.run, steps=JOURNEY)),
        *(Case("TLS", peer, partial(_tls_peer, peer)) for peer in ("wrk", *SCRIPTED) if peer in peers),
        Case("TLS", "loadgate", _tls(JOURNEY)),
        Case("TLS", "loadgate interpreted", _tls(JOURNEY, compiled=False)),
        *(Case("paced", peer, partial(_paced_peer, peer)) for peer in ("k6", "oha") if peer in peers),
        Case("paced", "loadgate", _ours(PACED)),
        *(Case("open", peer, partial(_open_peer, peer, loads)) for peer in ("oha",) if peer in peers),
        Case("open", "loadgate", lambda load: _open(load, loads())),
    ]


def _peer(peer: str, load: Load, case: str = "plain") -> Sample:
    return others.measure(peer, replace(load, warmup=GATLING_WARMUP) if peer == "gatling" else load, case=case)


def _ours(steps: Steps, *, compiled: bool = True) -> Callable[[Load], Sample]:
    return lambda load: clients.run(load, clients.closed(load, steps), Setting(compiled=compiled))[0]


def _tls(steps: Steps, *, compiled: bool = True) -> Callable[[Load], Sample]:
    ours = _ours(steps, compiled=compiled)
    return lambda load: _resuming(replace(load, base=load.server.tls_url), ours)


def _tls_peer(peer: str, load: Load) -> Sample:
    case = "journey" if peer in SCRIPTED else "plain"
    return _resuming(replace(load, base=load.server.tls_url), partial(_peer, peer, case=case))


def _resuming(load: Load, run: Callable[[Load], Sample]) -> Sample:
    """With a note of how many of its connections resumed a TLS session, by nginx's log."""
    resumed, every = load.server.resumed()
    sample = run(load)
    after, all_after = load.server.resumed()
    return replace(sample, note=f"{after - resumed} of {all_after - every} TLS sessions resumed")


def _paced_peer(peer: str, load: Load) -> Sample:
    return others.measure(peer, replace(load, rate=PACED_RATE), case="paced")


def _open_peer(peer: str, loads: Callable[[], int], load: Load) -> Sample:
    """What half the rate costs another: it sleeps between requests too, and is woken as often."""
    return others.measure(peer, replace(load, rate=loads()), case="open")


def _open(load: Load, rate: int) -> Sample:
    """Arrivals at a fixed rate; the note says what the table's limits are about."""
    scenario: dict[str, Any] = {
        "executor": "constant-arrival-rate",
        "rate": rate,
        "duration": f"{load.lasts}s",
        "preAllocatedVUs": _OPEN_VUS,
        "maxVUs": _MOST_OPEN_VUS,
        "steps": PLAIN,
    }
    sample, snapshot = clients.run(load, scenario, Setting())
    return replace(sample, facts=_arrivals(snapshot, rate * load.lasts))


def _arrivals(snapshot: Snapshot, asked: int) -> dict[str, float]:
    rows = snapshot.measurement.iterations.values()
    return {
        "asked": asked,
        "begun": sum(row.completed + row.failed + row.interrupted for row in rows),
        "dropped": sum(row.dropped for row in rows),
        "slip_p99_ms": snapshot.health.slip_p99 * 1e3,
    }
