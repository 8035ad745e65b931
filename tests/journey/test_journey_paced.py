"""Steps whose target limits a connection's rates, on a real server made with aiohttp: streams are held to them too."""

import pytest
from aiohttp.test_utils import TestServer
from journey_samples import MemoryRecorder, MemoryTally, plan_of

from live.app import build
from loadgate.plan.document import PlanConnection, PlanTarget, PlanTimeouts
from loadgate_runner.http import Client, Network
from loadgate_runner.journey import Context, Outcome, compile_scenario

STEPS = {
    "request": {"url": "/prices", "method": "HEAD"},
    "sse": {"name": "s", "url": "/prices", "query": {"every": 0.01}, "until": {"event": "price"}},
    "websocket": {"name": "w", "url": "/orders", "steps": [{"sendJson": {"product": "p1", "quantity": 1}}]},
}


@pytest.mark.parametrize(
    ("rates", "phase"), [({"upload_rate": 10_000.0}, "sending"), ({"download_rate": 500.0}, "receiving"), ({}, "")]
)
@pytest.mark.parametrize("kind", STEPS)
async def test_each_kind_of_step_is_as_slow_as_its_target_says(kind, rates, phase):
    """A long head takes its time to go out, an answer's to come in, and neither where nothing is said."""
    network = Network()
    async with TestServer(build()) as server:
        target = PlanTarget(
            url=str(server.make_url("")).rstrip("/"),
            timeouts=PlanTimeouts(total=10),
            connection=PlanConnection(**rates),
        )
        plan = plan_of({kind: {**STEPS[kind], "headers": {"X-Long": "y" * 2000}}}, target=target)
        recorder, log = MemoryRecorder(), []
        context = Context(
            run="r", runner_index=0, files=None, environ={}, recorder=recorder, clock=network.clock, sleep=None,
            client=lambda: Client(network), log=log.append,
        )  # fmt: skip
        vu = compile_scenario(plan.scenarios[0], plan, context).new_vu(1, MemoryTally())
        assert await vu.iterate(0) is Outcome.COMPLETED, log
        await vu.close()
    ((record,),) = recorder.requests().values()
    response = record[0]
    assert (response.error, response.status) == (None, 101 if kind == "websocket" else 200)
    slow = {name for name in ("sending", "receiving") if getattr(response, name) > 100_000}
    assert slow == ({phase} if phase else set())
    network.close()
