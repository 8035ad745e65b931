"""One run, live: the load, how the target answers, and whether the runners themselves are in the way.

Percentiles are of the merged histograms of all runners, never averages of percentiles. Only the runners' buckets limit
how exact they are here; the exact figures of the whole run are in its status and report.
"""

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
)

RUN = 'namespace="$namespace",test="$test",run="$run"'
TEST = 'namespace="$namespace",name="$test"'
RATE = "[$__rate_interval]"

DURATION = "loadgate_http_request_duration_seconds"
REQUESTS = "loadgate_http_requests_total"
FAILURES = "loadgate_http_request_failures_total"

FAILED_SHARE = f"(sum(rate({FAILURES}{{{RUN}}}{RATE})) or vector(0)) / (sum(rate({REQUESTS}{{{RUN}}}{RATE})) > 0)"


def quantile(q: float, by: str = "") -> str:
    """A percentile of the requests of all runners together."""
    return f"histogram_quantile({q:g}, sum by (le{by and f', {by}'}) (rate({DURATION}_bucket{{{RUN}}}{RATE})))"


def board() -> Json:
    """The dashboard."""
    return dashboard(
        "loadgate-run",
        "loadgate / Run",
        "One run of a LoadTest, live.",
        [
            ("", _figures()),
            ("The target", _target()),
            ("By endpoint", _endpoints()),
            ("Where the time goes", _traffic()),
            ("The runners themselves: is it the target, or is it us?", _runners()),
        ],
        variables=[
            variable("namespace", "label_values(loadgate_loadtest_phase, namespace)", "Namespace"),
            variable("test", 'label_values(loadgate_loadtest_phase{namespace="$namespace"}, name)', "LoadTest"),
            variable(
                "run", 'label_values(loadgate_runner_state{namespace="$namespace",test="$test"}, run)', "Run", sort=4
            ),
        ],
        annotations=_annotations(),
        time={"from": "now-15m", "to": "now"},
        refresh="5s",
    )


def _annotations() -> list[Json]:
    # The operator's own: a runner may be gone before it is scraped once more.
    started, ended, finished = (
        f'loadgate_loadtest_run_{moment}_timestamp_seconds{{{TEST},run="$run"}} * 1000'
        for moment in ("started", "load_ended", "finished")
    )
    verdict = f"loadgate_loadtest_verdict{{{TEST}}} * on (namespace, name) group_left (run) {finished}"
    return [
        annotation("Start", started, title="Load begins", text="{{run}}", colour="blue"),
        annotation("End", ended, title="Load ends", text="{{run}}", colour="blue"),
        annotation("Verdict", verdict, title="{{verdict}}", text="{{run}}", colour="purple"),
    ]


def _figures() -> list[Panel]:
    phase = Query(f"max by (phase) (loadgate_loadtest_phase{{{TEST}}})", "{{phase}}", instant=True)
    none = ("green", None)
    return [
        stat(
            "Phase",
            "Where the LoadTest is, and in the end its verdict.",
            phase,
            options={"textMode": "name"},
            overrides=in_verdict_colours(),
        ),
        stat("VUs", "Virtual users at work.", Query(f"sum(loadgate_vus{{{RUN}}})")),
        stat("Requests/s", "Over all runners.", Query(f"sum(rate({REQUESTS}{{{RUN}}}{RATE}))"), unit="reqps"),
        stat(
            "Failed",
            "The share of requests that failed.",
            Query(FAILED_SHARE),
            unit="percentunit",
            defaults={"thresholds": thresholds(none, ("orange", 0.001), ("red", 0.01))},
        ),
        stat("p95", "95 % of the requests took at most this.", Query(quantile(0.95)), unit="s"),
        stat(
            "Dropped",
            "Iterations that were due and found no free VU: load that was asked for and not made.",
            Query(f"sum(loadgate_dropped_iterations_total{{{RUN}}})"),
            defaults={"thresholds": thresholds(none, ("orange", 1))},
        ),
        stat(
            "Checks",
            "The share of checks that held.",
            Query(
                f'sum(loadgate_checks_total{{{RUN},result="pass"}}) / sum(loadgate_checks_total{{{RUN}}})',
            ),
            unit="percentunit",
        ),
        stat(
            "Busiest runner",
            "CPU used of CPU allowed. Above 80 % a runner's own queues are in its timings.",
            Query(f"max(loadgate_runner_cpu_ratio{{{RUN}}})"),
            unit="percentunit",
            defaults={"thresholds": thresholds(none, ("orange", 0.7), ("red", 0.8))},
        ),
    ]


def _target() -> list[Panel]:
    right = override("VUs", ("custom.axisPlacement", "right"), ("unit", "short"))
    percentiles = tuple(Query(quantile(q), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99))
    return [
        graph(
            "Load",
            "What is sent, and how many virtual users it takes.",
            Query(f"sum(rate({REQUESTS}{{{RUN}}}{RATE}))", "requests/s"),
            Query(f"sum(loadgate_vus{{{RUN}}})", "VUs"),
            unit="reqps",
            overrides=(right,),
        ),
        graph("Response times", "Of all runners together; failed requests count, too.", *percentiles, unit="s"),
        graph(
            "Failures by kind",
            "Failed requests in a second: what went wrong, or the status that wasn't expected.",
            Query(f"sum by (kind) (rate({FAILURES}{{{RUN}}}{RATE}))", "{{kind}}"),
            unit="reqps",
            custom={"stacking": {"mode": "normal"}},
        ),
        graph(
            "Iterations",
            "Journeys in a second by how they ended, and those that were due and could not begin.",
            Query(f"sum by (outcome) (rate(loadgate_iterations_total{{{RUN}}}{RATE}))", "{{outcome}}"),
            Query(f"sum(rate(loadgate_dropped_iterations_total{{{RUN}}}{RATE}))", "dropped"),
            unit="cps",
        ),
        graph(
            "Checks that fail",
            "In a second, by check.",
            Query(f'sum by (check) (rate(loadgate_checks_total{{{RUN},result="fail"}}{RATE}))', "{{check}}"),
            unit="cps",
        ),
        graph(
            "Status codes",
            "Answers in a second; 0 is no answer at all.",
            Query(f"sum by (status) (rate({REQUESTS}{{{RUN}}}{RATE}))", "{{status}}"),
            unit="reqps",
            custom={"stacking": {"mode": "normal"}},
        ),
    ]


def _endpoints() -> list[Panel]:
    window = "[$__range]"
    buckets = f"sum by (le, name) (increase({DURATION}_bucket{{{RUN}}}{window}))"
    return [
        graph(
            "Requests/s by endpoint",
            "An endpoint is a request's name.",
            Query(f"sum by (name) (rate({REQUESTS}{{{RUN}}}{RATE}))", "{{name}}"),
            unit="reqps",
            width=12,
        ),
        graph(
            "p95 by endpoint", "Of all runners together.", Query(quantile(0.95, "name"), "{{name}}"), unit="s", width=12
        ),
        table(
            "Endpoints",
            "Over the time range that is shown.",
            Query(f"sum by (name) (increase({REQUESTS}{{{RUN}}}{window}))", table=True),
            Query(f"sum by (name) (increase({FAILURES}{{{RUN}}}{window}))", table=True),
            *(Query(f"histogram_quantile({q}, {buckets})", table=True) for q in (0.5, 0.95, 0.99)),
            width=24,
            transformations=(
                {"id": "merge", "options": {}},
                {
                    "id": "organize",
                    "options": {
                        "excludeByName": {"Time": True},
                        "renameByName": {
                            "name": "Endpoint",
                            "Value #A": "Requests",
                            "Value #B": "Failed",
                            "Value #C": "p50",
                            "Value #D": "p95",
                            "Value #E": "p99",
                        },
                    },
                },
            ),
            overrides=(
                override("Requests", ("decimals", 0)),
                override("Failed", ("decimals", 0)),
                *(override(name, ("unit", "s")) for name in ("p50", "p95", "p99")),
            ),
        ),
    ]


def _traffic() -> list[Panel]:
    phase = "loadgate_http_request_phase_seconds"
    return [
        graph(
            "Phases of a request",
            "On average, of the requests that had the phase: a connection that is used again has no connecting.",
            Query(
                f"sum by (phase) (rate({phase}_sum{{{RUN}}}{RATE}))"
                f" / (sum by (phase) (rate({phase}_count{{{RUN}}}{RATE})) > 0)",
                "{{phase}}",
            ),
            unit="s",
            width=12,
        ),
        graph(
            "Data",
            "Of all runners together, before TLS.",
            Query(f"sum(rate(loadgate_data_sent_bytes_total{{{RUN}}}{RATE}))", "sent"),
            Query(f"sum(rate(loadgate_data_received_bytes_total{{{RUN}}}{RATE}))", "received"),
            unit="Bps",
            width=12,
        ),
    ]


def _runners() -> list[Panel]:
    name = "runner {{runner}}"
    late = 'quantile="0.99"'
    return [
        graph(
            "CPU",
            "Used of what is allowed, and the share of scheduler periods in which the quota held a runner back.",
            Query(f"max by (runner) (loadgate_runner_cpu_ratio{{{RUN}}})", name),
            Query(f"max by (runner) (loadgate_runner_cpu_throttled_ratio{{{RUN}}})", f"{name} throttled"),
            unit="percentunit",
        ),
        graph(
            "Loop lag (p99)",
            "How late a runner's event loop was: this much of a response time may be the runner's own.",
            Query(f"max by (runner) (loadgate_runner_loop_lag_seconds{{{RUN},{late}}})", name),
            unit="s",
        ),
        graph(
            "Schedule slip (p99)",
            "How late iterations began because the runner was busy.",
            Query(f"max by (runner) (loadgate_runner_schedule_slip_seconds{{{RUN},{late}}})", name),
            unit="s",
        ),
        graph(
            "Memory", "Resident.", Query(f"max by (runner) (loadgate_runner_memory_bytes{{{RUN}}})", name), unit="bytes"
        ),
        graph(
            "Open files",
            "Of the fullest process, of those it may open.",
            Query(
                f"max by (runner) (loadgate_runner_open_fds{{{RUN}}} / (loadgate_runner_max_fds{{{RUN}}} > 0))", name
            ),
            unit="percentunit",
        ),
        graph(
            "Runners",
            "As the operator sees them. A lost one makes the run inconclusive.",
            Query(f"max by (state) (loadgate_loadtest_runners{{{TEST}}})", "{{state}}"),
        ),
    ]
