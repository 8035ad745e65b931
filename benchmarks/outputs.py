"""What each peer prints at its end, read into the same few figures. Each reader takes the text of standard output."""

import json
import re

from benchmarks.watch import Said


class OutputError(RuntimeError):
    """A peer had failures, or says nothing that can be read."""


def wrk(text: str) -> Said:
    """Wrk's report with --latency."""
    if "Non-2xx" in text or "Socket errors" in text:
        raise OutputError(f"wrk had failures: {text.strip()[-300:]}")
    percentiles = {
        p: float(n) * _MS[unit] for p, n, unit in re.findall(r"^\s+(\d+)%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    }
    return Said(int(_found(r"(\d+) requests in", text)), percentiles.get("50"), percentiles.get("99"))


def h2load(text: str) -> Said:
    """h2load's summary; it has no percentiles."""
    if _found(r"(\d+) failed", text) != "0":
        raise OutputError(f"h2load had failures: {text.strip()[-300:]}")
    return Said(int(_found(r"(\d+) succeeded", text)))


def oha(text: str) -> Said:
    """Oha's JSON."""
    document = json.loads(text)
    codes, percentiles = document["statusCodeDistribution"], document["latencyPercentiles"]
    return Said(codes.get("200", 0), percentiles["p50"] * 1e3, percentiles["p99"] * 1e3)


def hey(text: str) -> Said:
    """Hey's report."""
    percentiles = {p: float(n) * 1e3 for p, n in re.findall(r"^\s+(\d+)%+ in ([\d.]+) secs", text, re.MULTILINE)}
    return Said(int(_found(r"\[200\]\s+(\d+) responses", text)), percentiles.get("50"), percentiles.get("99"))


def vegeta(text: str) -> Said:
    """`vegeta report -type json`; its times are nanoseconds."""
    document = json.loads(text)
    latencies = document["latencies"]
    return Said(document["status_codes"].get("200", 0), latencies["50th"] / 1e6, latencies["99th"] / 1e6)


def gatling(text: str) -> Said:
    """Gatling's last report on the console; percentiles are only in its HTML, which isn't made."""
    counts = re.findall(r"> Global\s*\|\s*[\d,]+\s*\|\s*([\d,]+)\s*\|\s*([\d,]+)", text)
    if not counts or counts[-1][1] != "0":
        raise OutputError(f"Gatling had failures, or says no count: {text.strip()[-300:]}")
    return Said(int(counts[-1][0].replace(",", "")))


def own_json(text: str) -> Said:
    """What our script for k6 and our file for Locust print: a line of JSON."""
    lines = [line for line in text.splitlines() if line.startswith('{"requests"')]
    if not lines:
        raise OutputError(f"no figures in: {text.strip()[-300:]}")
    document = json.loads(lines[-1])
    return Said(document["requests"], document["p50"], document["p99"])


_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise OutputError(f"nothing like {pattern!r} in: {text.strip()[-300:]}")
    return match[1]
