"""The result document: all that is kept of a run, so that it can be reported, compared and judged again later."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import orjson
import zstandard

from loadgate.metrics import Health, Measurement
from loadgate.verdict import Verdict, summarise, summarise_endpoints

VERSION = 2
LARGEST = 64 * 1024 * 1024
"""Bytes that a stored result may unpack to; more is no result of ours but a bomb."""

_LEVEL = 9
"""zstd's level: beyond it a result gets smaller by a few percent and slower by a lot."""


class ResultError(ValueError):
    """What was read is not a result document of this version."""


@dataclass(frozen=True)
class RunFacts:
    """Which run it was. Times are RFC 3339 in UTC; `load_ended_at` is empty where there was no load."""

    id: str
    number: int
    cause: str
    started_at: str
    load_ended_at: str
    finished_at: str
    spec_hash: str
    test: str
    namespace: str


@dataclass(frozen=True)
class RunnerFacts:
    """One runner, as it was at the end: `state` is a RunnerState's, or `Lost`."""

    index: int
    uid: str
    node: str
    state: str
    health: Health


@dataclass(frozen=True)
class Result:
    """A run: what was asked for, what was measured, and what was said of it.

    `manifest` is the LoadTest without its status (secrets are in it as references only) and `budgets` are the manifests
    of the budgets, both as they were when the verdict was made: a result that is judged again has the limits of then.
    `plan` has `duration` and `warmup` in seconds, and what else the plan tells.
    `notes` says what had to be made coarser for the document to fit where it is kept.
    """

    loadgate: str
    run: RunFacts
    manifest: dict[str, Any]
    budgets: tuple[dict[str, Any], ...]
    plan: dict[str, Any]
    measurement: Measurement
    runners: tuple[RunnerFacts, ...]
    verdict: Verdict
    notes: tuple[str, ...] = ()

    @property
    def warmup(self) -> float:
        """How long at the start was measured but not judged, in seconds."""
        return float(self.plan.get("warmup", 0.0))

    def to_json(self) -> dict[str, Any]:
        """The document. `summary` and `endpoints` follow from the measurement; they are there for readers."""
        return {
            "version": VERSION,
            "loadgate": self.loadgate,
            "run": {_camel(name): value for name, value in asdict(self.run).items()},
            "manifest": self.manifest,
            "budgets": list(self.budgets),
            "plan": self.plan,
            "verdict": self.verdict.to_json(),
            "summary": summarise(self.measurement).to_json(),
            "endpoints": [endpoint.to_json() for endpoint in summarise_endpoints(self.measurement)],
            "runners": [asdict(runner) for runner in self.runners],
            "notes": list(self.notes),
            "measurement": self.measurement.to_json(),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote. Raises ResultError for anything else."""
        try:
            if document["version"] == VERSION:
                return cls._read(document)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ResultError(f"not a result document: {error}") from error
        raise ResultError(f"result version {document['version']!r}, expected {VERSION}")

    @classmethod
    def _read(cls, document: dict[str, Any]) -> Self:
        run = document["run"]
        return cls(
            loadgate=document["loadgate"],
            run=RunFacts(**{name: run[_camel(name)] for name in RunFacts.__dataclass_fields__}),
            manifest=document["manifest"],
            budgets=tuple(document["budgets"]),
            plan=document["plan"],
            measurement=Measurement.from_json(document["measurement"]),
            runners=tuple(_runner(one) for one in document["runners"]),
            verdict=Verdict.from_json(document["verdict"]),
            notes=tuple(document["notes"]),
        )

    def encode(self) -> bytes:
        """The document as zstd-compressed JSON."""
        return zstandard.ZstdCompressor(level=_LEVEL).compress(orjson.dumps(self.to_json()))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote, or the same as plain JSON. Raises ResultError for anything else."""
        try:
            document = orjson.loads(_unpacked(data))
        except (zstandard.ZstdError, orjson.JSONDecodeError) as error:
            raise ResultError(f"not a result document: {error}") from error
        if not isinstance(document, dict):
            raise ResultError("not a result document: it is no JSON object")
        return cls.from_json(document)


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(zstandard.MAGIC_NUMBER.to_bytes(4, "little")):
        return data
    size = zstandard.get_frame_parameters(data).content_size
    if size > LARGEST:  # a frame of unknown size says so with the largest number there is
        raise ResultError(f"the result would unpack to more than {LARGEST} bytes")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=LARGEST)


def _runner(document: dict[str, Any]) -> RunnerFacts:
    return RunnerFacts(**{**document, "health": Health.from_json(document["health"])})


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
