"""A whole run whose virtual users share their connections."""

import pytest
import whole_kit as kit

from loadgate_operator.embedded import Embedded

pytestmark = pytest.mark.processes


async def test_a_runs_connections_are_as_many_as_it_says():
    """Two runners of two processes make six connections between them, and not one more, for twenty virtual users."""
    load = kit.scenario(vus=20, iterations=800, steps=[kit.get("/?ms=5")])
    async with kit.serving() as target, Embedded() as operator:
        test = kit.load_test(target, load, runners=2, processes=2, thresholds={"http_req_failed": ["rate==0"]})
        test["spec"]["target"]["connection"] = {"maxConnections": 6, "idleTimeout": "30s"}
        status = await kit.run(operator, test)
        result = await operator.result(kit.KEY)
    assert status["phase"] == "Passed", status
    assert kit.counts(result)[:2] == (800, 0)
    assert target.most_open == 6
