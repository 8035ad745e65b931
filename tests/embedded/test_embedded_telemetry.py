"""What the operator tells of itself."""

import socket

import httpx
import pytest

import loadgate
from loadgate_operator.cluster.port import ClusterError, Key, Kind
from loadgate_operator.serve import serving
from loadgate_operator.telemetry import OperatorMetrics

KEY = Key(Kind.LOAD_TEST, "shop", "checkout")


def value(metrics, metric, /, **labels):
    return metrics.registry.get_sample_value(metric, labels)


def test_reconciles_are_counted_by_how_they_ended():
    """Successes and errors are apart, and each has its duration."""
    metrics = OperatorMetrics()
    metrics.reconciled(KEY, 0.5, None)
    metrics.reconciled(KEY, 1.5, ClusterError("no"))
    assert value(metrics, "loadgate_reconciles_total", kind="LoadTest", result="success") == 1
    assert value(metrics, "loadgate_reconciles_total", kind="LoadTest", result="error") == 1
    assert value(metrics, "loadgate_reconcile_duration_seconds_sum", kind="LoadTest") == 2.0


def test_tests_are_counted_by_phase():
    """Each test counts in one phase, and in none when it is gone."""
    metrics = OperatorMetrics()
    for phase in ("Pending", "Running"):
        metrics.observe(KEY, {"status": {"phase": phase}})
    assert value(metrics, "loadgate_loadtests", phase="Pending") == 0
    assert value(metrics, "loadgate_loadtests", phase="Running") == 1
    metrics.observe(KEY, None)
    assert value(metrics, "loadgate_loadtests", phase="Running") == 0


def test_the_last_verdict_stays_while_the_next_run_is_under_way():
    """A dashboard sees the verdict of the last finished run, one at a time, until the test is gone."""
    metrics = OperatorMetrics()

    def verdict(name):
        return value(metrics, "loadgate_loadtest_verdict", namespace="shop", name="checkout", verdict=name)

    metrics.observe(KEY, {"status": {"phase": "Failed", "run": {"verdict": "Failed"}}})
    metrics.observe(KEY, {"status": {"phase": "Running", "run": {}}})
    assert verdict("Failed") == 1
    metrics.observe(KEY, {"status": {"phase": "Passed", "run": {"verdict": "Passed"}}})
    assert verdict("Failed") is None
    assert verdict("Passed") == 1
    metrics.observe(KEY, None)
    assert verdict("Passed") is None


def test_other_kinds_are_not_counted_as_tests():
    """Jobs and pods have phases of their own."""
    metrics = OperatorMetrics()
    metrics.observe(Key(Kind.POD, "shop", "p"), {"status": {"phase": "Running"}})
    assert value(metrics, "loadgate_loadtests", phase="Running") == 0


def test_scrapes_are_counted_by_their_result():
    """Runners that don't answer are seen in a count of their own."""
    metrics = OperatorMetrics()
    metrics.scraped(3, 1)
    assert value(metrics, "loadgate_runner_scrapes_total", result="success") == 3
    assert value(metrics, "loadgate_runner_scrapes_total", result="error") == 1


async def test_metrics_and_health_are_served():
    """Prometheus' text on /metrics; 200 or 503 on /healthz, by whether reconciles flow."""
    healthy = [True]
    async with (
        serving(("127.0.0.1", 0), OperatorMetrics().render, lambda: healthy[0]) as url,
        httpx.AsyncClient() as client,
    ):
        text = (await client.get(f"{url}/metrics")).text
        assert f'loadgate_build_info{{version="{loadgate.__version__}"}} 1.0' in text
        assert (await client.get(f"{url}/healthz")).status_code == 200
        healthy[0] = False
        assert (await client.get(f"{url}/healthz")).status_code == 503


async def test_a_port_in_use_is_an_error_before_anything_begins():
    """Nobody finds out in the middle of a run that metrics were never served."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="address already in use"):
            async with serving(taken.getsockname(), OperatorMetrics().render, lambda: True):
                pass
