"""What a run is made of can't be changed under it: runners refuse what the run wasn't made with."""

import json

import pytest
import whole_kit as kit

from loadgate_operator.cluster.local.cluster import LocalCluster
from loadgate_operator.cluster.port import Key, Kind
from loadgate_operator.embedded import Embedded
from loadgate_operator.manifests import names
from loadgate_operator.manifests.configs import PLAN_KEY

pytestmark = pytest.mark.processes

JOURNEY = "async def journey(user):\n    await user.get('/{}')\n"


@pytest.fixture
def tampered(monkeypatch):
    """Lets someone change the cluster at the worst moment: when all of a run is made but its pods."""

    def install(change):
        made = LocalCluster.apply

        async def apply(cluster, obj):
            if obj["kind"] == Kind.JOB and "uid" not in obj["metadata"]:
                change(cluster.store, obj["metadata"])
            return await made(cluster, obj)

        monkeypatch.setattr(LocalCluster, "apply", apply)

    return install


async def test_a_plan_that_is_changed_before_the_pods_start_makes_no_load(tampered):
    """The run ends Inconclusive and says that it is to be run again; the target sees nothing of either plan."""

    def change(store, job):
        key = Key(Kind.CONFIG_MAP, job["namespace"], names.plan_name(job["name"]))
        plan = store.read(key)
        document = json.loads(plan["data"][PLAN_KEY])
        document["target"]["url"] += "/elsewhere"
        store.delete(key)  # it is immutable, so whoever changes it makes another
        kept = {part: plan["metadata"][part] for part in ("name", "namespace", "labels", "ownerReferences")}
        store.apply({**plan, "metadata": kept, "data": {PLAN_KEY: json.dumps(document)}})

    tampered(change)
    async with kit.serving() as target, Embedded() as operator:
        status = await kit.run(operator, kit.load_test(target))
    assert status["phase"] == "Inconclusive"
    assert kit.doubts(status) == ["ArmingFailed"]
    assert "isn't the one that run" in status["doubts"][0]["message"]
    assert target.seen == []


async def test_a_script_that_is_changed_before_the_pods_start_is_not_run(tampered):
    """The run of the old script makes no load; the one that follows is of the new one."""
    tampered(lambda store, _: store.apply(kit.config_map("journeys", main_py=JOURNEY.format("new"))))
    script = {"configMapKeyRef": {"name": "journeys", "key": "main.py"}}
    async with kit.serving() as target, Embedded() as operator:
        old = kit.config_map("journeys", main_py=JOURNEY.format("old"))
        test = kit.load_test(target, kit.scenario(iterations=5, script=script))
        status = await kit.run(operator, old, test)
        while status["run"]["number"] == 1:
            status = await kit.until_phase(operator, "Passed")
    assert status["phase"] == "Passed"
    assert target.paths() == {"/new": 5}
