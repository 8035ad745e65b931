"""A runner's side as these tests play it: a recorder that keeps all, a client that answers as it is told."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import orjson

from loadgate.api.steps import Step
from loadgate.plan.document import Plan, PlanScenario, PlanTarget, PlanTimeouts
from loadgate.plan.schedule import IterationSchedule
from loadgate_runner.http import Client, CookieJar, Failure, Origin, Response, locate, prepare
from loadgate_runner.journey import Context, compile_scenario
from loadgate_runner.journey.scope import Scope
from loadgate_runner.journey.state import State


def an_answer(
    *,
    status: int = 200,
    body: bytes = b"",
    head: dict[str, str] | None = None,
    cookies: dict[str, str] | None = None,
    error: Failure | None = None,
    hops: tuple[Response, ...] = (),
    duration: int = 1_000,
    started: int = 1_000_000,
    message: str = "",
    method: str = "GET",
    url: str = "http://shop/",
) -> Response:
    """What the client gives for a request."""
    fields = [*(head or {}).items(), *(("Set-Cookie", f"{name}={value}") for name, value in (cookies or {}).items())]
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    response = Response()
    response.origin, response.path = locate(url)
    response.request = prepare(method, response.origin, response.path)
    response.status, response.error, response.message = status, error, message
    response.head, response.body, response.size = f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode(), body, len(body)
    response.hops, response.duration, response.started = hops, duration, started
    response.truncated = False
    return response


def json_answer(value: Any, **more: Any) -> Response:
    """An answer with a JSON body."""
    return an_answer(body=orjson.dumps(value), **more)


@dataclass
class Sent:
    """What the client was given to send."""

    method: str
    origin: Origin
    path: bytes
    headers: bytes
    body: bytes | None
    prepared: Any

    @property
    def url(self) -> str:
        """Where it went."""
        return self.origin.url(self.path)

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        lines = [line.partition(": ") for line in self.headers.decode().split("\r\n")]
        return [value for found, _, value in lines if found.lower() == name.lower()]


class FakeClient:
    """Answers in turn from a list, the last answer again and again; keeps what it sent."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers) or [an_answer()]
        self.sent: list[Sent] = []
        self.closed = False
        self.apart = 0
        self.kept: list[int] = []
        self.cookies = CookieJar()

    async def send(
        self, request: Any, path: Any = None, headers: bytes = b"", body: Any = None, origin: Any = None
    ) -> Any:
        """Keep the request, and how many cookies there were, and give the next answer, with a cookie."""
        self.kept.append(self.cookies.size)
        self.cookies.store(request.origin, b"/", "sid=1")
        self.sent.append(
            Sent(
                request.method,
                origin or request.origin,
                path or request.path,
                request.headers + headers,
                request.body if body is None else body,
                request,
            )
        )
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def deliver(self, request: Any, *parts: Any) -> Any:
        """Note that the body goes apart from its head, and do the same."""
        self.apart += 1
        return await self.send(request, *parts)

    def close(self) -> None:
        """Note it."""
        self.closed = True


class Series:
    """Keeps what was recorded."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def record(self, *record: Any) -> None:
        """A request or a check."""
        self.records.append(record[0] if len(record) == 1 else record)

    add = keep = record


class MemoryRecorder:
    """Keeps every series by its kind and tags."""

    def __init__(self) -> None:
        self.series: dict[Any, Series] = defaultdict(Series)
        self.exhausted: list[str] = []

    def request_series(self, tags: Any) -> Series:
        """Requests."""
        return self.series["request", tags]

    def check_series(self, tags: Any) -> Series:
        """Checks."""
        return self.series["check", tags]

    def trace_series(self, name: str) -> Series:
        """Ids of traced requests."""
        return self.series["trace ids", name]

    def counter(self, name: str, tags: Any) -> Series:
        """A counter."""
        return self.series["counter", name, tags]

    def gauge(self, name: str, tags: Any) -> Series:
        """A gauge."""
        return self.series["gauge", name, tags]

    def rate(self, name: str, tags: Any) -> Series:
        """A rate."""
        return self.series["rate", name, tags]

    def trend(self, name: str, tags: Any) -> Series:
        """A trend."""
        return self.series["trend", name, tags]

    def data_exhausted(self, source: str) -> None:
        """Note it."""
        self.exhausted.append(source)

    def checks(self) -> dict[str, list[bool]]:
        """Results by the check's name, whatever the other tags."""
        return self._by("check", "check")

    def requests(self) -> dict[str, list[Any]]:
        """Records by the request's name, whatever the other tags."""
        return self._by("request", "name")

    def _by(self, kind: str, tag: str) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for key, series in self.series.items():
            if key[0] == kind:
                found.setdefault(dict(key[1])[tag], []).extend(series.records)
        return found


class Sleeper:
    """A sleep that takes no time, and says after so many that the iteration is to end."""

    def __init__(self, allowed: float = float("inf")) -> None:
        self.slept: list[float] = []
        self.allowed = allowed

    async def __call__(self, seconds: float) -> bool:
        """Note it."""
        self.slept.append(seconds)
        return len(self.slept) <= self.allowed


def steps_of(*steps: dict[str, Any]) -> list[Step]:
    """Steps as a manifest has them."""
    return [Step.model_validate(step) for step in steps]


def plan_of(*steps: dict[str, Any], script: str | None = None, tags: dict[str, str] | None = None, **more: Any) -> Plan:
    """A plan of one scenario `s`, through its JSON as a runner reads it."""
    target = more.pop("target", None) or PlanTarget(url="http://shop", timeouts=PlanTimeouts(total=5))
    scenario = PlanScenario(
        name="s",
        executor="shared-iterations",
        start=0,
        graceful_stop=1,
        schedule=IterationSchedule(vus=1, iterations=1, per_vu=False, max_duration=1),
        tags=tags or {},
        steps=None if script else steps_of(*steps),
        script=script,
    )
    plan = Plan(
        run="run-1", test="t", namespace="d", runners=1, target=target, duration=1, tail=1, scenarios=[scenario], **more
    )
    return Plan.decode(plan.encode())


class MemoryTally:
    """Remembers how iterations ended, and when they count from."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.lateness: list[int] = []

    def late(self, due: int, began: int) -> None:
        """One that was due then begins."""
        self.lateness.append(began - due)

    def completed(self, due: int, ended: int) -> None:
        """One went through."""
        self.seen.append(("completed", due))

    def failed(self, due: int, ended: int) -> None:
        """One failed."""
        self.seen.append(("failed", due))

    def interrupted(self, due: int) -> None:
        """One was cut off."""
        self.seen.append(("interrupted", due))

    def dropped(self, due: int) -> None:
        """One didn't begin."""
        self.seen.append(("dropped", due))


class Bench:
    """A compiled scenario with one virtual user and everything around it."""

    def __init__(self, plan: Plan, *answers: Response, tmp_path: Any = "/nonexistent", **more: Any) -> None:
        self.recorder = MemoryRecorder()
        self.client = FakeClient(*answers)
        self.sleep = more.pop("sleep", None) or Sleeper()
        self.log: list[str] = []
        self.context = Context(
            run="run-1",
            runner_index=3,
            files=tmp_path,
            environ=more.pop("environ", {}),
            recorder=self.recorder,
            clock=more.pop("clock", lambda: 0),
            sleep=self.sleep,
            client=lambda: self.client,
            log=self.log.append,
            **more,
        )
        self.plan = plan
        self.journey = compile_scenario(plan.scenarios[0], plan, self.context)
        self.tally = MemoryTally()
        self.vu = self.journey.new_vu(7, self.tally)

    @classmethod
    def steps(cls, *steps: dict[str, Any], answers: tuple[Response, ...] = (), **more: Any) -> Bench:
        """A bench for steps."""
        plan_fields = {key: more.pop(key) for key in ("data", "secrets", "tags", "target") if key in more}
        return cls(plan_of(*steps, **plan_fields), *answers, **more)


def scope_of(**more: Any) -> Scope:
    """A scope for compiling by itself."""
    return Scope(**{"run": "run-1", "runner_index": 3, "scenario": "s", **more})


def state_of(vu_id: int = 7, seed: int = 0, **variables: Any) -> State:
    """A virtual user's state by itself."""
    state = State(vu_id, FakeClient(), seed)
    state.vars.update(variables)
    return state


async def play_script(plan, files, network, due=None):
    """One iteration of a plan's Python journey; gives the recorder, how it ended, the log and the variables."""
    recorder, log = MemoryRecorder(), []
    context = Context(
        run="r", runner_index=0, files=files, environ={}, recorder=recorder, clock=network.clock,
        sleep=None, client=lambda: Client(network), log=log.append,
    )  # fmt: skip
    vu = compile_scenario(plan.scenarios[0], plan, context).new_vu(2, MemoryTally())
    outcome = await vu.iterate(0, due)
    await vu.close()
    return recorder, outcome, log, vu.state.vars
