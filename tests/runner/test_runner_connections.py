"""How many connections each process of a run may have."""

import pytest

from loadgate.api.validate import validate_loadtest
from loadgate.plan import compile_plan
from loadgate_runner.load import connections_of


def plan_of(runners, **connection):
    load = {"name": "s", "executor": "constant-vus", "vus": 5, "duration": "1s", "steps": [{"request": {"url": "/"}}]}
    spec = {
        "target": {"url": "http://shop", "connection": connection},
        "runners": {"count": runners},
        "scenarios": [load],
    }
    test = validate_loadtest(
        {"apiVersion": "loadgate.dev/v1alpha1", "kind": "LoadTest", "metadata": {"name": "a"}, "spec": spec}
    )
    return compile_plan(test, run="a-1")


@pytest.mark.parametrize(("runners", "processes", "most"), [(1, 1, 7), (3, 2, 6), (3, 2, 13), (4, 3, 100)])
def test_connections_are_divided_exactly(runners, processes, most):
    """The processes' bounds are together what the test says, and no two differ by more than one."""
    plan = plan_of(runners, maxConnections=most)
    parts = [connections_of(plan, i, part, processes) for i in range(runners) for part in range(processes)]
    assert sum(parts) == most
    assert max(parts) - min(parts) <= 1


def test_no_process_is_without_a_connection():
    """Where there are more processes than connections, each has one."""
    plan = plan_of(3, maxConnections=2)
    assert [connections_of(plan, i, part, 2) for i in range(3) for part in range(2)] == [1] * 6


def test_virtual_users_have_their_own_unless_it_is_said():
    """Without a number there is no pool."""
    assert connections_of(plan_of(3), 0) is None
