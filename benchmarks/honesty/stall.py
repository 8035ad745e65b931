"""Coordinated omission: what each tool says of a server that freezes once, beside the truth.

RATE requests a second for SECONDS; the server answers in 1 ms and freezes for 2 s, 5 s after the first request. A tool
that waits for its answers before it sends more asks less while the server stands still, and reports a fast server.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.honesty import ours
from benchmarks.honesty.target import Target, answering, quantile
from benchmarks.install import HERE, command_of
from benchmarks.tools import ToolsMissingError, pinned

RATE, SECONDS = 500, 15
ANSWER_MS, FREEZE_AT, FREEZE_FOR = 1.0, 5.0, 2.0
QUANTILES = (0.5, 0.95, 0.99, 0.999)
FEW, ENOUGH = 64, 2000
_LIMIT = 60.0


@dataclass(frozen=True)
class Figures:
    """What a tool says: requests, percentiles in ms in the order of QUANTILES, and any word of warning."""

    requests: int
    percentiles: tuple[float | None, ...]
    warning: str = ""


@dataclass(frozen=True)
class Row:
    """A tool in a setting: what it says, what the server saw in that run, or why there is nothing."""

    tool: str
    setting: str
    said: Figures | None
    server_requests: int = 0
    server_p99: float = 0.0
    frozen_seconds: float = FREEZE_FOR
    fault: str = ""


def truth(frozen_seconds: float) -> tuple[float, ...]:
    """By arithmetic: each request that is due while the server stands still waits for the rest of that time."""
    due = (number / RATE for number in range(RATE * SECONDS))
    ends = FREEZE_AT + frozen_seconds
    # What was under way when it froze waits, too.
    held = FREEZE_AT - ANSWER_MS / 1e3
    latencies = sorted((max(ends - at, 0) * 1e3 if held < at < ends else 0.0) + ANSWER_MS for at in due)
    return tuple(quantile(latencies, q) for q in QUANTILES)


@dataclass(frozen=True)
class Setting:
    """How a tool is told to make this load, and what makes figures of a run."""

    tool: str
    name: str
    run: Callable[[str, int], Figures]


def table_rows(core: int, server_core: int, wanted: set[str]) -> list[Row]:
    """All settings of the wanted tools, each against a server of its own."""
    return [_row(setting, core, server_core) for setting in _SETTINGS if setting.tool in wanted]


def _row(setting: Setting, core: int, server_core: int) -> Row:
    law = ("freeze", f"{ANSWER_MS:g}", f"{FREEZE_AT:g}", f"{FREEZE_FOR:g}")
    try:
        with answering(server_core, *law) as target:
            said = setting.run(target.url, core)
    except (ToolsMissingError, OSError, ValueError, KeyError, RuntimeError, subprocess.SubprocessError) as fault:
        return Row(setting.tool, setting.name, None, fault=" ".join(str(fault).split())[:200])
    return Row(setting.tool, setting.name, said, target.requests, _p99(target), target.frozen_seconds)


def _p99(target: Target) -> float:
    return quantile(target.latencies, 0.99) if target.latencies else 0.0


def _loadgate(allocated: int, most: int) -> Callable[[str, int], Figures]:
    scenario = {
        "executor": "constant-arrival-rate",
        "rate": RATE,
        "duration": f"{SECONDS}s",
        "preAllocatedVUs": allocated,
        "maxVUs": most,
    }

    def run(url: str, core: int) -> Figures:
        ran = ours.run(url, core, scenario, SECONDS)
        doubts = f"Inconclusive: {', '.join(ran.doubts)}" if ran.doubts else ""
        return Figures(ran.requests, tuple(ran.quantile(q) for q in QUANTILES), doubts)

    return run


def _k6(allocated: int, most: int) -> Callable[[str, int], Figures]:
    environ = {"RATE": str(RATE), "SECONDS": str(SECONDS), "PRE": str(allocated), "MAX": str(most)}

    def run(url: str, core: int) -> Figures:
        script = str(HERE / "open.js")
        words = [*command_of("k6"), "run", "--quiet", "--no-usage-report", "--log-output=none", script]
        document = json.loads(_output(core, words, {**environ, "BASE": url}))
        dropped = document["dropped"]
        return Figures(
            document["requests"], tuple(document["percentiles"]), f"{dropped} dropped_iterations" if dropped else ""
        )

    return run


def _vegeta(*more: str) -> Callable[[str, int], Figures]:
    def run(url: str, core: int) -> Figures:
        attack = f'echo "GET {url}/item" | "$0" attack -rate={RATE} -duration={SECONDS}s {" ".join(more)}'
        text = _output(core, ["sh", "-c", f'{attack} | "$0" encode -to=json', *command_of("vegeta")])
        taken = sorted(json.loads(line)["latency"] / 1e6 for line in text.splitlines())
        return Figures(len(taken), tuple(quantile(taken, q) for q in QUANTILES))

    return run


def _oha(*more: str) -> Callable[[str, int], Figures]:
    def run(url: str, core: int) -> Figures:
        words = ["--no-tui", "--output-format", "json", "-q", str(RATE), "-c", str(FEW), "-z", f"{SECONDS}s", *more]
        document = json.loads(_output(core, [*command_of("oha"), *words, f"{url}/item"]))
        percentiles = document["latencyPercentiles"]
        said = tuple(percentiles[name] * 1e3 for name in ("p50", "p95", "p99", "p99.9"))
        return Figures(document["statusCodeDistribution"]["200"], said)

    return run


def _wrk(script: str) -> Callable[[str, int], Figures]:
    def run(url: str, core: int) -> Figures:
        words = ["-t1", f"-c{FEW}", f"-d{SECONDS}s", "-s", str(HERE / script), f"{url}/item"]
        found = re.search(r"^figures (.*)$", _output(core, [*command_of("wrk"), *words]), re.MULTILINE)
        if found is None:
            raise ValueError("wrk prints no figures")
        count, *percentiles = (float(word) for word in found[1].split())
        return Figures(int(count), tuple(percentiles))

    return run


def _locust(users: int) -> Callable[[str, int], Figures]:
    def run(url: str, core: int) -> Figures:
        words = ["-f", str(HERE / "paced_locustfile.py"), "--headless", "--only-summary", "--loglevel=ERROR"]
        sized = ["-u", str(users), "-r", str(users), "-t", f"{SECONDS}s", "-H", url]
        text = _output(core, [*command_of("locust"), *words, *sized], {"PER_USER": str(RATE / users)})
        document = json.loads(next(line for line in text.splitlines() if line.startswith('{"requests"')))
        return Figures(document["requests"], tuple(document["percentiles"]))

    return run


def _output(core: int, words: list[str], environ: dict[str, str] | None = None) -> str:
    with tempfile.TemporaryDirectory(prefix="loadgate-bench-") as folder:
        done = subprocess.run(
            pinned(core, *words),
            check=False,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            env={**os.environ, **(environ or {})},
            cwd=Path(folder),
        )
    if not done.stdout:
        raise ValueError(f"{Path(words[0]).name} said nothing but: {done.stderr.strip()[-200:]}")
    return done.stdout


_SETTINGS = (
    Setting("loadgate", f"{FEW} VUs, up to {ENOUGH}", _loadgate(FEW, ENOUGH)),
    Setting("loadgate", f"{ENOUGH} VUs", _loadgate(ENOUGH, ENOUGH)),
    Setting("loadgate", f"{FEW} VUs", _loadgate(FEW, FEW)),
    Setting("k6", f"constant-arrival-rate, {FEW} VUs, up to {ENOUGH}", _k6(FEW, ENOUGH)),
    Setting("k6", f"constant-arrival-rate, {ENOUGH} VUs", _k6(ENOUGH, ENOUGH)),
    Setting("k6", f"constant-arrival-rate, {FEW} VUs", _k6(FEW, FEW)),
    Setting("vegeta", f"-rate={RATE}", _vegeta()),
    Setting("vegeta", f"-rate={RATE} -max-workers={FEW}", _vegeta(f"-max-workers={FEW}")),
    Setting("oha", f"-q {RATE} -c {FEW}", _oha()),
    Setting("oha", f"-q {RATE} -c {FEW} --latency-correction", _oha("--latency-correction")),
    Setting("wrk", f"-c{FEW}, as fast as it goes", _wrk("figures.lua")),
    Setting("wrk", f"-c{FEW}, a delay that makes {RATE}/s", _wrk("delayed.lua")),
    Setting("locust", f"constant_throughput, {FEW} users", _locust(FEW)),
    Setting("locust", f"constant_throughput, {ENOUGH} users", _locust(ENOUGH)),
)
TOOLS = tuple(dict.fromkeys(setting.tool for setting in _SETTINGS))
