"""1,000 LoadTests at rest: what the operator holds in memory, uses of a core, and asks of the API server.

One test is really run. The others are copies of it with its status and its stored result, made while no operator is
there: to the next operator they are tests that an earlier one has finished, which is what tests at rest are.
"""

import asyncio
import time
from typing import Any

from benchmarks.operator import manifests
from benchmarks.operator.calls import is_ours
from benchmarks.operator.cluster import Cluster, say, until
from benchmarks.operator.figures import Figure
from benchmarks.operator.process import Operator, operating
from benchmarks.operator.target import running
from loadgate_operator.cluster.kubernetes import Api, connect
from loadgate_operator.cluster.kubernetes.api import MERGE, Call
from loadgate_operator.cluster.kubernetes.paths import PLURALS, collection, single
from loadgate_operator.cluster.port import Key, Kind
from loadgate_operator.manifests import names

TESTS = 1_000
WINDOW = 240.0
"""Seconds: two of the operator's comparisons of its cache with the cluster, which are all that it does by itself."""
MEGABYTES, CORE = 200.0, 1.0


def measure(cluster: Cluster) -> list[Figure]:
    """Make the tests, start an operator, and watch it do nothing."""
    with cluster.namespace("rest") as space:
        seed, stored = _seed(cluster, space)
        say(f"rest: making {TESTS} finished tests …")
        asyncio.run(_copy(cluster, space, seed, stored))
        begun = time.monotonic()
        with operating(cluster) as operator:
            until(lambda: operator.sum("loadgate_reconciles_total", kind="LoadTest") >= TESTS, 120)
            took = time.monotonic() - begun
            return [
                Figure(f"until an operator has looked at {TESTS:,} tests", "from its process' start", took, "s"),
                *_watched(cluster, operator),
            ]


def _watched(cluster: Cluster, operator: Operator) -> list[Figure]:
    time.sleep(20)  # what a start leaves to be done
    say(f"rest: watching the operator for {WINDOW:g} s …")
    before, cpu, since = len(cluster.calls()), operator.cpu(), time.monotonic()
    time.sleep(WINDOW)
    core = 100 * (operator.cpu() - cpu) / (time.monotonic() - since)
    calls = [call for call in cluster.calls()[before:] if is_ours(call)]
    writes = [call for call in calls if call.writes]
    said = f"{TESTS:,} LoadTests at rest"
    over = f"over {WINDOW:g} s"
    return [
        Figure(
            f"the most memory the operator ever held, {said}",
            "VmHWM of its process, start included",
            operator.peak(),
            "MB",
            MEGABYTES,
        ),
        Figure(f"CPU, {said}", f"CPU time of its process {over}", core, "% of a core", CORE),
        Figure(f"API writes, {said}", f"the API server's audit log {over}", len(writes), "calls", 0),
        Figure(
            f"API reads a minute, {said}",
            f"the API server's audit log {over}",
            60 * (len(calls) - len(writes)) / WINDOW,
            "calls",
        ),
    ]


def _seed(cluster: Cluster, space: str) -> tuple[manifests.Object, manifests.Object]:
    """A test that has run, and its stored result."""
    say("rest: running the one that the others are copies of …")
    with running() as target, operating(cluster):
        scenarios = [manifests.steady(4, 5)]
        cluster.apply(manifests.load_test("seed", space, target.url, runners=1, scenarios=scenarios))
        cluster.kubectl("wait", "loadtest/seed", "-n", space, "--for=condition=Passed", "--timeout=120s", seconds=150)
        seed = cluster.get("loadtest/seed", "-n", space)
    return seed, cluster.get(f"configmap/{seed['status']['result']['configMapRef']['name']}", "-n", space)


async def _copy(cluster: Cluster, space: str, seed: manifests.Object, stored: manifests.Object) -> None:
    async with Api(await connect(cluster.kubeconfig)) as api:
        await asyncio.gather(*(_one(api, f"test-{number:04}", space, seed, stored) for number in range(TESTS - 1)))


async def _one(api: Api, name: str, space: str, seed: manifests.Object, stored: manifests.Object) -> None:
    metadata = {"name": name, "namespace": space}
    test = await _post(api, Kind.LOAD_TEST, space, {**_bare(seed), "metadata": metadata, "spec": seed["spec"]})
    kept = names.result_name(name, seed["status"]["run"]["number"])
    labels = {**stored["metadata"]["labels"], names.TEST_LABEL: names.shorten(name)}
    owner = {**stored["metadata"]["ownerReferences"][0], "name": name, "uid": test["metadata"]["uid"]}
    about = {"name": kept, "namespace": space, "labels": labels, "annotations": stored["metadata"]["annotations"]}
    result = {**_bare(stored), "metadata": {**about, "ownerReferences": [owner]}, "binaryData": stored["binaryData"]}
    await _post(api, Kind.CONFIG_MAP, space, result)
    status = {**seed["status"], "result": {"configMapRef": {"name": kept}}}
    path = single(Key(Kind.LOAD_TEST, space, name), "status")
    await api.ask(Call(verb="PATCH", path=path, resource="", body={"status": status}, content_type=MERGE))


def _bare(obj: manifests.Object) -> manifests.Object:
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"]}


async def _post(api: Api, kind: Kind, space: str, obj: manifests.Object) -> Any:
    return await api.ask(Call(verb="POST", path=collection(kind, space), resource=PLURALS[kind], body=obj))
