"""What a test says of its runners' pods, on one machine: variables and volumes are there, and what isn't is said."""

import base64

import pytest
import whole_kit as kit

from loadgate_operator.embedded import Embedded

pytestmark = pytest.mark.processes

JOURNEY = """
import os
from pathlib import Path

async def journey(user):
    rows = Path(os.environ["ROWS"]).read_text()
    secret = Path(os.environ["KEYS"], "deep", "key").read_text()
    cache = Path(os.environ["CACHE"], "x")
    cache.write_text("y")
    cores = os.environ["CORES"]
    token = os.environ["TOKEN"]
    await user.get(f"/seen/{rows}/{secret}/{cache.read_text()}/{cores}/{os.environ['LABEL']}/{len(token)}")
"""
PODS = {
    "resources": {"limits": {"cpu": "1500m"}},
    "labels": {"team": "shop"},
    "env": [
        {"name": "ROWS", "value": "/var/data/rows.txt"},
        {"name": "KEYS", "value": "/var/keys"},
        {"name": "CACHE", "value": "/var/cache"},
        {"name": "CORES", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['team']"}}},
        {"name": "TOKEN", "value": "$(LOADGATE_TOKEN)"},
    ],
    "volumes": [
        {"name": "data", "configMap": {"name": "data"}},
        {"name": "keys", "secret": {"secretName": "keys", "items": [{"key": "k", "path": "deep/key"}]}},
        {"name": "cache", "emptyDir": {}},
    ],
    "volumeMounts": [
        {"name": "data", "mountPath": "/var/data/rows.txt", "subPath": "rows.txt"},
        {"name": "keys", "mountPath": "/var/keys", "readOnly": True},
        {"name": "cache", "mountPath": "/var/cache"},
    ],
    # There is nothing to choose from on one machine.
    "image": "mine:1",
    "nodeSelector": {"pool": "load"},
    "tolerations": [{"operator": "Exists"}],
    "serviceAccountName": "nobody",
    "priorityClassName": "none",
}


def with_pods(target, load, pods):
    test = kit.load_test(target, load)
    test["spec"]["runners"] |= pods
    return test


def reasons(status):
    return [one["reason"] for one in status.get("conditions") or ()]


def an_object(kind, name, **parts):
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, **parts}


async def test_a_journey_has_its_variables_and_volumes():
    """A Python journey reads variables, files of ConfigMaps and Secrets, and writes to a folder; ours it can't read."""
    source = {"configMapKeyRef": {"name": "journeys", "key": "j.py"}}
    load = kit.scenario("per-vu-iterations", vus=1, iterations=1, script=source)
    objects = [
        an_object("ConfigMap", "journeys", data={"j.py": JOURNEY}),
        an_object("ConfigMap", "data", data={"rows.txt": "row"}),
        an_object("Secret", "keys", data={"k": base64.b64encode(b"key").decode()}),
    ]
    async with kit.serving() as target, Embedded() as operator:
        await operator.apply([*objects, with_pods(target, load, PODS)])
        status = await kit.verdict(operator)
    assert status["phase"] == "Passed", status
    assert target.paths() == {f"/seen/row/key/y/2/shop/{len('$(LOADGATE_TOKEN)')}": 1}


async def test_a_volume_that_is_missing_is_waited_for():
    """A ConfigMap of a volume that isn't there holds the run up by name, and its appearance sets it off."""
    load = kit.scenario("per-vu-iterations", vus=1, iterations=1, steps=[kit.get("/")])
    pods = {
        "volumes": [{"name": "a", "configMap": {"name": "later"}}],
        "volumeMounts": [{"name": "a", "mountPath": "/var/a"}],
    }
    async with kit.serving() as target, Embedded() as operator:
        await operator.apply([with_pods(target, load, pods)])
        await kit.until(lambda: "ConfigMapNotFound" in reasons(operator.status(*kit.KEY)))
        assert not target.seen
        await operator.apply([an_object("ConfigMap", "later", data={})])
        status = await kit.verdict(operator)
    assert status["phase"] == "Passed"


async def test_a_volume_of_a_cluster_is_refused():
    """A PersistentVolumeClaim, which one machine doesn't have, stalls the test with a word what there is; no load is made."""
    load = kit.scenario("per-vu-iterations", vus=1, iterations=1, steps=[kit.get("/")])
    pods = {
        "volumes": [{"name": "rows", "persistentVolumeClaim": {"claimName": "x"}}],
        "volumeMounts": [{"name": "rows", "mountPath": "/var/rows"}],
    }
    async with kit.serving() as target, Embedded() as operator:
        await operator.apply([with_pods(target, load, pods)])
        status = await operator.wait(kit.KEY)
        assert not target.seen
    stalled = next(one for one in status["conditions"] if one["type"] == "Stalled")
    assert "volume rows is a persistentVolumeClaim" in stalled["message"]
