"""The plan: what every runner of a run is told, as one versioned JSON document without a secret in it.

All runners read the same document; which part of the load is a runner's own follows from its index (`share.py`).
Durations are seconds. Steps are the manifest's own models, since the runner compiles those.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError

from loadgate.api.auth import TargetAuth
from loadgate.api.steps import Step
from loadgate.plan.schedule import Schedule, Stated, length, most_vus
from loadgate.plan.share import Share
from loadgate.plan.targets import Targets

VERSION = 1


class PlanError(ValueError):
    """The document is not a plan of this version."""


class PlanTimeouts(Stated):
    """Limits of one request, in seconds; None is bounded by `total` only."""

    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    total: float


class PlanConnection(Stated):
    """How connections are made, and how long one is kept, in requests and seconds; None is without a bound."""

    reuse: Literal["always", "iteration", "never"] = "always"
    max_requests: int | None = None
    max_age: float | None = None
    idle_timeout: float | None = None
    unix_socket: str | None = None
    source_addresses: list[str] = Field(default=[])
    share: int = 1
    max_connections: int | None = None
    """To one origin, over all runners; None: each VU has its own."""
    upload_rate: float | None = None
    """Bytes a second, as is the next."""
    download_rate: float | None = None


class PlanDns(Stated):
    """How names become addresses; `ttl` is in seconds."""

    ttl: float = 0.0
    select: Literal["roundRobin", "random", "first"] = "roundRobin"
    policy: Literal["any", "preferIPv4", "preferIPv6", "onlyIPv4", "onlyIPv6"] = "any"


class PlanProxy(Stated):
    """A proxy; its credentials come by environment, both or none."""

    url: str
    no_proxy: list[str] = Field(default=[])
    username_env: str | None = None
    password_env: str | None = None
    ca_file: str | None = None
    ca_env: str | None = None


class PlanTarget(Stated):
    """Where load goes. `ca_file` is relative to the files folder; PEM texts that are secret come by environment."""

    url: str
    protocol: Literal["HTTP/1.1", "HTTP/2", "auto"] = "HTTP/1.1"
    host: str | None = None
    headers: dict[str, str] = Field(default={})
    timeouts: PlanTimeouts
    max_redirects: int = 10
    connection: PlanConnection = PlanConnection()
    dns: PlanDns = PlanDns()
    proxy: PlanProxy | None = None
    verify: bool = True
    server_name: str | None = None
    ca_file: str | None = None
    ca_env: str | None = None
    cert_env: str | None = None
    key_env: str | None = None
    auth: TargetAuth | None = None
    tracing: float | None = None
    """Which share of requests carries a trace id."""


class PlanData(Stated):
    """Rows, or the file (relative to the files folder) that holds them."""

    order: Literal["sequential", "random", "unique"]
    rows: list[dict[str, Any]] | None = None
    file: str | None = None
    format: Literal["csv", "json"] | None = None


class PlanScenario(Stated):
    """One scenario: when (`start` seconds into the run, then its schedule), and what (steps, or a script's path).

    `offset` is the runner that is dealt VU 0, so that the remainders of several scenarios spread over runners.
    """

    name: str
    executor: str
    start: float
    graceful_stop: float
    schedule: Schedule
    offset: int = 0
    tags: dict[str, str] = Field(default={})
    steps: list[Step] | None = None
    script: str | None = None

    @property
    def end(self) -> float:
        """When the schedule is over, in seconds of the run; iterations under way have `graceful_stop` more."""
        return self.start + length(self.schedule)

    def share(self, index: int, runners: int) -> Share:
        """The part of this scenario that is runner `index`'s."""
        return Share.of(index, runners, self.offset)


def _held_to(rules: list[str]) -> list[str]:
    Targets(rules)  # rules that can't be held to make no plan
    return rules


class Plan(Stated):
    """What a run does. `duration` is the planned time without graceful ends; `tail` the longest of those."""

    version: Literal[1] = 1
    run: str
    test: str
    namespace: str
    runners: int
    processes: int | None = None
    target: PlanTarget
    warmup: float = 0.0
    duration: float
    tail: float
    scenarios: list[PlanScenario]
    setup: list[Step] = Field(default=[])
    teardown: list[Step] = Field(default=[])
    data: dict[str, PlanData] = Field(default={})
    secrets: dict[str, str] = Field(default={})
    """By a secret's name in the manifest, the environment variable that holds its value."""
    files: list[str] = Field(default=[])
    """Every `CONFIGMAP/KEY` that the plan reads."""
    digests: dict[str, str] = Field(default={})
    """By `CONFIGMAP/KEY`, the SHA-256 of what it held when the run was made, in hexadecimal; none: nobody looks."""
    allowed_targets: Annotated[list[str], AfterValidator(_held_to)] = Field(default=[])
    """The platform's rules on where load may go; none: anywhere but reserved addresses."""

    @property
    def most_vus(self) -> int:
        """The sum of the most VUs of each scenario."""
        return sum(most_vus(scenario.schedule) for scenario in self.scenarios)

    def encode(self) -> bytes:
        """JSON, in UTF-8."""
        return self.model_dump_json(by_alias=True, exclude_unset=True).encode()

    @property
    def digest(self) -> str:
        """The SHA-256 of what `encode` writes, in hexadecimal."""
        return sha256(self.encode()).hexdigest()

    @classmethod
    def decode(cls, data: bytes | str) -> Self:
        """Read what `encode` wrote. Raises PlanError."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
            raise PlanError(f"not a plan of version {VERSION}: {where}") from error
