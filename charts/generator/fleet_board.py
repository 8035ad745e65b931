"""All LoadTests and budgets: verdicts, what is broken, how figures went from run to run, the operator itself."""

from __future__ import annotations

from charts.generator.panels import (
    Json,
    Panel,
    Query,
    annotation,
    dashboard,
    graph,
    in_verdict_colours,
    override,
    stat,
    table,
    thresholds,
    variable,
    verdict_colours,
)

SEEN = 'namespace=~"$namespace"'
TEST = f'{SEEN},name=~"$test"'
ONE = "{{namespace}}/{{name}}"
FIGURE = "loadgate_loadtest_run"


def board() -> Json:
    """The dashboard."""
    return dashboard(
        "loadgate-fleet",
        "loadgate / Fleet",
        "All LoadTests and PerformanceBudgets.",
        [
            ("", _counts()),
            ("Verdicts", _verdicts()),
            ("Budgets", _budgets()),
            ("History: one value a run", _history()),
            ("The operator", _operator()),
        ],
        variables=[
            variable("namespace", "label_values(loadgate_loadtest_phase, namespace)", "Namespace", every=True),
            variable("test", f"label_values(loadgate_loadtest_phase{{{SEEN}}}, name)", "LoadTest", every=True),
        ],
        annotations=[
            annotation(
                "Verdicts",
                f'loadgate_loadtest_verdict{{{TEST},verdict!="Passed"}}'
                f" * on (namespace, name) group_left (run) {FIGURE}_finished_timestamp_seconds{{{TEST}}} * 1000",
                title="{{verdict}}",
                text=f"{ONE} {{{{run}}}}",
                colour="red",
            )
        ],
        time={"from": "now-7d", "to": "now"},
        refresh="1m",
    )


def _count(verdict: str, colour: str, text: str) -> Panel:
    query = Query(f'count(loadgate_loadtest_verdict{{{TEST},verdict="{verdict}"}} == 1) or vector(0)')
    return stat(verdict, text, query, defaults={"thresholds": thresholds(("text", None), (colour, 1))})


def _counts() -> list[Panel]:
    under_way = f'count(loadgate_loadtest_phase{{{TEST},phase=~"Starting|Running|Judging"}} == 1) or vector(0)'
    return [
        stat("LoadTests", "All that there are.", Query(f"count(loadgate_loadtest_phase{{{TEST}}} == 1)")),
        stat("Under way", "Runs that start, run or are judged.", Query(under_way)),
        _count("Passed", "green", "Tests whose last run held all limits."),
        _count("Failed", "red", "Tests whose last run broke a limit."),
        _count("Inconclusive", "orange", "Tests whose last run can't be trusted."),
        stat(
            "Budgets broken",
            "PerformanceBudgets that at least one test does not hold.",
            Query(f"count(loadgate_budget_satisfied{{{SEEN}}} == 0) or vector(0)"),
            defaults={"thresholds": thresholds(("green", None), ("red", 1))},
        ),
        stat("VUs", "At work now, over all tests.", Query(f"sum(loadgate_loadtest_vus{{{TEST}}}) or vector(0)")),
        stat(
            "Runners lost",
            "In the last run of each test.",
            Query(f'sum(loadgate_loadtest_runners{{{TEST},state="lost"}})'),
        ),
    ]


def _verdicts() -> list[Panel]:
    both = "namespace, name"
    columns = (
        (f"max by ({both}, verdict) (loadgate_loadtest_verdict{{{TEST}}} == 1)", "Verdict seen"),
        (f"max by ({both}) ({FIGURE}_number{{{TEST}}})", "Run"),
        (f"max by ({both}) ({FIGURE}_finished_timestamp_seconds{{{TEST}}}) * 1000", "Finished"),
        (f"max by ({both}) ({FIGURE}_requests_per_second{{{TEST}}})", "Requests/s"),
        (f'max by ({both}) ({FIGURE}_duration_seconds{{{TEST},quantile="0.95"}})', "p95"),
        (f"max by ({both}) ({FIGURE}_failed_ratio{{{TEST}}})", "Failed"),
        (f"max by ({both}) ({FIGURE}_dropped_iterations{{{TEST}}})", "Dropped"),
        (f"max by ({both}) (loadgate_loadtest_violations{{{TEST}}})", "Limits broken"),
    )
    names = {f"Value #{chr(ord('A') + number)}": name for number, (_, name) in enumerate(columns)}
    to_run = {
        "title": "Its run, live",
        "url": "/d/loadgate-run?var-namespace=${__data.fields.Namespace}&var-test=${__data.fields.LoadTest}",
    }
    return [
        table(
            "Last verdicts",
            "Each LoadTest's last finished run.",
            *(Query(expr, table=True) for expr, _ in columns),
            width=16,
            height=10,
            transformations=(
                {"id": "merge", "options": {}},
                {
                    "id": "organize",
                    "options": {
                        "excludeByName": {"Time": True, "Value #A": True},
                        "renameByName": {"namespace": "Namespace", "name": "LoadTest", "verdict": "Verdict", **names},
                    },
                },
            ),
            overrides=(
                override("LoadTest", ("links", [to_run])),
                override("Verdict", ("mappings", [verdict_colours()]), ("custom.cellOptions", {"type": "color-text"})),
                override("Finished", ("unit", "dateTimeFromNow")),
                override("Requests/s", ("unit", "reqps")),
                override("p95", ("unit", "s")),
                override("Failed", ("unit", "percentunit")),
            ),
        ),
        graph(
            "LoadTests by verdict",
            "How many stand how.",
            Query(f"count by (verdict) (loadgate_loadtest_verdict{{{TEST}}} == 1)", "{{verdict}}"),
            height=10,
            custom={"stacking": {"mode": "normal"}, "fillOpacity": 30},
            overrides=in_verdict_colours(),
        ),
    ]


def _budgets() -> list[Panel]:
    held = {
        "type": "value",
        "options": {"0": {"text": "broken", "color": "red"}, "1": {"text": "held", "color": "green"}},
    }
    return [
        table(
            "Budgets by LoadTest",
            "Whether the test's last run held the budget, and how many of its limits broke.",
            Query(f"max by (namespace, name, test) (loadgate_budget_test_satisfied{{{SEEN}}})", table=True),
            Query(f"max by (namespace, name, test) (loadgate_budget_test_violations{{{SEEN}}})", table=True),
            width=12,
            transformations=(
                {"id": "merge", "options": {}},
                {
                    "id": "organize",
                    "options": {
                        "excludeByName": {"Time": True},
                        "renameByName": {
                            "namespace": "Namespace",
                            "name": "Budget",
                            "test": "LoadTest",
                            "Value #A": "State",
                            "Value #B": "Limits broken",
                        },
                    },
                },
            ),
            overrides=(override("State", ("mappings", [held]), ("custom.cellOptions", {"type": "color-text"})),),
        ),
        Panel(
            title="Budgets over time",
            text="Green while every test that it judges holds the budget.",
            queries=(Query(f"min by (namespace, name) (loadgate_budget_satisfied{{{SEEN}}})", ONE),),
            kind="state-timeline",
            width=12,
            options={"showValue": "never", "mergeValues": True, "rowHeight": 0.8},
            defaults={"mappings": [held]},
        ),
    ]


def _history() -> list[Panel]:
    step = {"lineInterpolation": "stepAfter", "fillOpacity": 0}
    return [
        graph(
            "p95",
            "Of all requests of each run.",
            Query(f'max by (namespace, name) ({FIGURE}_duration_seconds{{{TEST},quantile="0.95"}})', ONE),
            unit="s",
            custom=step,
        ),
        graph(
            "p99",
            "Of all requests of each run.",
            Query(f'max by (namespace, name) ({FIGURE}_duration_seconds{{{TEST},quantile="0.99"}})', ONE),
            unit="s",
            custom=step,
        ),
        graph(
            "Requests/s",
            "Of each run, on average.",
            Query(f"max by (namespace, name) ({FIGURE}_requests_per_second{{{TEST}}})", ONE),
            unit="reqps",
            custom=step,
        ),
        graph(
            "Failed",
            "The share of each run's requests.",
            Query(f"max by (namespace, name) ({FIGURE}_failed_ratio{{{TEST}}})", ONE),
            unit="percentunit",
            custom=step,
        ),
        graph(
            "Limits broken",
            "By the last run.",
            Query(f"max by (namespace, name) (loadgate_loadtest_violations{{{TEST}}})", ONE),
            custom=step,
        ),
        graph(
            "Runs",
            "How many there were in a day.",
            Query(f"sum by (namespace, name) (increase({FIGURE}_number{{{TEST}}}[1d]))", ONE),
            custom=step,
        ),
    ]


def _operator() -> list[Panel]:
    rate = "[$__rate_interval]"
    buckets = f"sum by (le) (rate(loadgate_reconcile_duration_seconds_bucket{rate}))"
    return [
        graph(
            "Reconciles",
            "In a second, by kind and by how they ended.",
            Query(f"sum by (kind, result) (rate(loadgate_reconciles_total{rate}))", "{{kind}} {{result}}"),
            unit="cps",
        ),
        graph(
            "Time of a reconcile",
            "The 99th percentile.",
            Query(f"histogram_quantile(0.99, {buckets})", "p99"),
            unit="s",
        ),
        graph(
            "Polls of runners",
            "In a second, by whether they were answered.",
            Query(f"sum by (result) (rate(loadgate_runner_scrapes_total{rate}))", "{{result}}"),
            unit="cps",
        ),
        table(
            "Versions",
            "Which operators run.",
            Query("max by (namespace, version) (loadgate_build_info)", table=True),
            height=4,
        ),
    ]
