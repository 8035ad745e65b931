"""Every query of the dashboards returns data, from a real Prometheus that scraped a real run."""

import asyncio
import contextlib
import json
import re
from dataclasses import dataclass
from datetime import datetime

import pytest
from aiohttp import web
from chart_kit import CHART, program
from prometheus_kit import address_of, pod_target, prometheus, write

from loadgate_operator.cluster.port import Key, Kind
from loadgate_operator.embedded import Embedded, Options

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

KEY = Key(Kind.LOAD_TEST, "default", "checkout")
SECONDS = 10

BOARD_FILES = sorted((CHART / "dashboards").glob("*.json"))
ALERTS = CHART / "files" / "alerts.yaml"
BOARDS = {path.stem: json.loads(path.read_text()) for path in BOARD_FILES}


def manifests(url):
    """A run that has a bit of everything: slow and failing requests, failing checks, dropped iterations, a budget."""
    scenario = {"executor": "constant-arrival-rate", "duration": f"{SECONDS}s"}
    asks = [
        {"request": {"name": "home", "url": "/"}, "check": {"status": 200}},
        {"request": {"name": "broken", "url": "/broken"}, "check": {"status": 200}},
    ]
    waits = [{"request": {"name": "slow", "url": "/slow"}}]
    test = {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": KEY.name, "namespace": KEY.namespace, "labels": {"app": "shop"}},
        "spec": {
            "target": {"url": url},
            "runners": {"count": 2, "processes": 1},
            "scenarios": [
                {**scenario, "name": "shopper", "rate": 20, "preAllocatedVUs": 10, "steps": asks},
                {**scenario, "name": "waiter", "rate": 20, "preAllocatedVUs": 2, "steps": waits},
            ],
            "thresholds": {"http_req_failed": ["rate<0.01"]},
        },
    }
    budget = {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "PerformanceBudget",
        "metadata": {"name": "shop", "namespace": KEY.namespace},
        "spec": {"selector": {"matchLabels": {"app": "shop"}}, "errorRate": {"*": {"max": "1%"}}},
    }
    return [test, budget]


@contextlib.asynccontextmanager
async def target():
    """A server with a page of each sort; gives its URL."""

    async def page(request):
        if request.path == "/slow":
            await asyncio.sleep(0.3)
        return web.Response(status=500 if request.path == "/broken" else 200, text="hello")

    app = web.Application()
    app.router.add_get("/{page:.*}", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class Run:
    """What was seen of the one run that all tests here look at."""

    status: dict
    answers: dict
    """By dashboard and name of a panel or annotation: (expression, series) of each of its queries."""
    labels: dict
    """By metric: the labels that its series have."""


def queries(board):
    """(what it belongs to, expression) of all that a dashboard asks."""
    for panel in board["panels"]:
        for asked in panel.get("targets", ()):
            yield panel["title"], asked["expr"]
    for note in board["annotations"]["list"]:
        yield f"annotation {note['name']}", note["expr"]


def filled(expr, run):
    """The expression with what Grafana would put in place of its variables."""
    for name, value in {
        "$__rate_interval": "4s",
        "$__range": "60s",
        "$namespace": KEY.namespace,
        "$test": KEY.name,
        "$run": run,
    }.items():
        expr = expr.replace(name, value)
    assert "$" not in expr
    return expr


async def observe(folder, monitors):
    """Run it, scrape it, and ask all that the dashboards ask."""
    operators, runners = (folder / f"{monitor['metadata']['name']}.json" for monitor in monitors)
    async with (
        target() as url,
        prometheus(monitors, folder) as asked,
        Embedded(Options(metrics_address=("127.0.0.1", 0))) as operator,
    ):
        pod = {"metadata": {"name": "operator", "namespace": "gates"}}
        write(operators, [pod_target(pod, operator.metrics_url)])
        await operator.apply(manifests(url))
        async for _ in operator.follow(KEY, every=0.2):
            pods = [(one, address_of(one)) for one in operator.objects(Kind.POD)]
            write(runners, [pod_target(one, address) for one, address in pods if address])
        status = operator.status(*KEY)
        begun = datetime.fromisoformat(status["run"]["startedAt"]).timestamp()
        over = datetime.fromisoformat(status["run"]["finishedAt"]).timestamp()
        answers = {}
        for told in ("loadgate_loadtest_verdict", "loadgate_budget_satisfied"):
            await asked.until_seen(told, over)
        for board, content in BOARDS.items():
            for name, expr in queries(content):
                found = await asked.over(filled(expr, status["run"]["id"]), begun, over + 20)
                answers.setdefault((board, name), []).append((expr, found))
        everything = await asked.over('{__name__=~"loadgate_.+"}', begun, over + 20)
    labels = {}
    for metric, _ in everything:
        labels.setdefault(metric["__name__"], set()).update(metric)
    return Run(status, answers, labels)


@pytest.fixture(scope="module")
def seen(helm, tmp_path_factory):
    """The run, made once."""
    program("prometheus")
    objects = helm.objects("--set", "podMonitor.enabled=true")
    monitors = sorted((obj for obj in objects if obj["kind"] == "PodMonitor"), key=lambda obj: obj["metadata"]["name"])
    return asyncio.run(observe(tmp_path_factory.mktemp("prometheus"), monitors))


ASKED = list(dict.fromkeys((board, name) for board in BOARDS for name, _ in queries(BOARDS[board])))


@pytest.mark.parametrize(("board", "name"), ASKED, ids=[f"{board}: {name}" for board, name in ASKED])
def test_every_query_has_data(seen, board, name):
    """Each query of the panel, and each annotation, returns at least one number."""
    for expr, series in seen.answers[board, name]:
        assert series, expr


@pytest.mark.parametrize("path", [*BOARD_FILES, ALERTS], ids=lambda path: path.stem)
def test_every_metric_is_there_with_its_labels(seen, path):
    """Each metric that is asked for was scraped, and has the labels that it is asked for by, also where none matched."""
    text = path.read_text().replace('\\"', '"')
    asked = re.findall(r"\b(loadgate_[a-z_]+)(?:{([^}]*)})?", text)
    assert asked
    for metric, selector in asked:
        assert set(re.findall(r"(\w+)\s*(?:=|!)", selector)) <= seen.labels[metric], metric


@pytest.mark.parametrize("board", BOARDS)
def test_variables_have_values(seen, board):
    """Each choice at the top of a dashboard is a label that its metric has."""
    queries_of = [one["definition"] for one in BOARDS[board]["templating"]["list"] if one["type"] == "query"]
    assert queries_of
    for query in queries_of:
        metric, label = re.fullmatch(r"label_values\((\w+)(?:{.*})?, (\w+)\)", query).groups()
        assert label in seen.labels[metric]


def values(seen, board, name, query=0):
    return seen.answers[board, name][query][1]


def test_the_run_was_as_meant(seen):
    """The run failed over its limits, and so had something to show on every panel."""
    assert seen.status["phase"] == "Failed"
    assert seen.status["runners"]["finished"] == 2


def test_failures_are_told_apart(seen):
    """Each endpoint, kind of failure and runner is a series of its own, called by its name."""
    assert {labels["name"] for labels, _ in values(seen, "run", "Requests/s by endpoint")} == {"home", "broken", "slow"}
    assert len(values(seen, "run", "Failures by kind")) == 1
    assert {labels["runner"] for labels, _ in values(seen, "run", "Loop lag (p99)")} == {"0", "1"}


def test_percentiles_are_those_of_the_run(seen):
    """The slow endpoint's p95 is where it is known to be, within the width of a bucket; the fast one's is below."""
    by_name = {labels["name"]: max(found) for labels, found in values(seen, "run", "p95 by endpoint")}
    assert 0.25 <= by_name["slow"] <= 0.5
    assert by_name["home"] < by_name["slow"]


def test_rates_are_those_of_the_run(seen):
    """Requests a second, over both runners, are what the schedule asks for."""
    (_, home), *_ = [
        (labels, found) for labels, found in values(seen, "run", "Requests/s by endpoint") if labels["name"] == "home"
    ]
    middle = sorted(home)[len(home) // 2]
    assert 15 <= middle <= 25


def test_the_annotations_stand_at_their_moments(seen):
    """Start, end and verdict are where the run's status has them, the end where the schedule has it."""
    begun, ended, over = (
        datetime.fromisoformat(seen.status["run"][name]).timestamp()
        for name in ("startedAt", "loadEndedAt", "finishedAt")
    )

    def moment(name):
        ((labels, found),) = values(seen, "run", f"annotation {name}")
        return labels, found[-1] / 1000

    assert moment("Start")[1] == pytest.approx(begun, abs=0.01)
    labels, at = moment("Verdict")
    assert (labels["verdict"], at) == ("Failed", pytest.approx(over, abs=0.01))
    assert moment("End")[1] == pytest.approx(ended, abs=0.01)
    assert begun + SECONDS - 1 <= ended <= over


def test_the_fleet_shows_the_verdict_and_the_broken_budget(seen):
    """One LoadTest failed, one budget is broken, and the figures of its last run are those of the status."""
    assert [found[-1] for _, found in values(seen, "fleet", "Failed")] == [1]
    assert [found[-1] for _, found in values(seen, "fleet", "Budgets broken")] == [1]
    ((labels, found),) = values(seen, "fleet", "p95")
    assert (labels["namespace"], labels["name"]) == (KEY.namespace, KEY.name)
    assert f"{round(found[-1] * 1000)}ms" == seen.status["summary"]["p95"]
