"""Which spec asks for which run: what alters the load, what only judges, and what is no change at all."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from reconcile_world import budget, load_test

from loadgate.api.conditions import Cause
from loadgate.api.validate import validate_budget, validate_loadtest
from loadgate_operator.reconcile.identity import cause_of_change, limits_hash, run_id, spec_hash
from loadgate_operator.reconcile.model import Inputs

SCENARIO: dict[str, Any] = load_test()["spec"]["scenarios"][0]
HERE = Inputs({"rows/rows.csv": "1"})
GONE = Inputs({"rows/rows.csv": None})


def changed(**spec: Any) -> dict[str, Any]:
    manifest = load_test()
    manifest["spec"].update(copy.deepcopy(spec))
    return manifest


def hash_of(manifest: dict[str, Any], inputs: Inputs = HERE, previous: str = "") -> str:
    return spec_hash(validate_loadtest(manifest), inputs, previous)


@pytest.mark.parametrize(
    "spec",
    [
        {"target": {"url": "http://127.0.0.1:2"}},
        {"runners": {"count": 3}},
        {"runners": {"count": 2, "image": "mine:1"}},
        {"runners": {"count": 2, "env": [{"name": "A", "value": "1"}]}},
        {"runners": {"count": 2, "nodeSelector": {"pool": "load"}}},
        {"runners": {"count": 2, "topologySpreadConstraints": []}},
        {"warmup": "1s"},
        {"scenarios": [{**SCENARIO, "duration": "21s"}]},
        {"scenarios": [{**SCENARIO, "executor": "ramping-vus", "stages": [{"duration": "20s", "target": 4}]}]},
        {"setup": {"steps": [{"request": {"url": "/"}}]}},
        {"secrets": {"a": {"secretKeyRef": {"name": "a", "key": "a"}}}},
    ],
)
def test_what_alters_the_load_asks_for_another_run(spec: dict[str, Any]) -> None:
    """Anything that a runner is told, or is made of, is a part of the run's identity."""
    if spec.get("scenarios", [{}])[0].get("executor") == "ramping-vus":
        del spec["scenarios"][0]["vus"], spec["scenarios"][0]["duration"]
    before, after = hash_of(load_test()), hash_of(changed(**spec))
    assert before != after
    assert cause_of_change(before, after) is Cause.SpecChanged


@pytest.mark.parametrize(
    "spec",
    [
        {"thresholds": {}},
        {"budgets": [{"name": "a"}]},
        {"tolerateDoubts": ["LoopLag"]},
        {"suspend": True},
        {"deadline": "1h"},
        {"startDeadline": "1m"},
        {"historyLimit": 1},
        {"ttlSecondsAfterFinished": 1},
        {"onInconclusive": {"retries": 1}},
        {"warmup": "0s"},
        {"scenarios": [{**SCENARIO, "startTime": "0s", "tags": {}}]},
        {"target": {"url": "http://127.0.0.1:1", "maxRedirects": 10}},
    ],
)
def test_what_judges_keeps_books_or_repeats_a_default_does_not(spec: dict[str, Any]) -> None:
    """A verdict, a time to live or a default that is written down makes no other load."""
    assert hash_of(load_test()) == hash_of(changed(**spec))


def test_labels_and_other_annotations_are_no_part_of_a_run() -> None:
    """What others hang on the object asks for nothing."""
    manifest = load_test()
    manifest["metadata"]["labels"] = {"a": "b"}
    manifest["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    assert hash_of(manifest) == hash_of(load_test())


def test_the_rerun_annotation_asks_with_each_new_value() -> None:
    """Taking it away asks for nothing: the value of before still stands."""
    manifest = load_test()
    manifest["metadata"]["annotations"] = {"loadgate.dev/rerun": "1"}
    before, after = hash_of(load_test()), hash_of(manifest)
    assert cause_of_change(before, after) is Cause.Rerun
    assert hash_of(load_test(), previous=after) == after


def test_new_contents_ask_for_a_run_and_missing_ones_do_not() -> None:
    """A ConfigMap that is deleted after the run leaves nothing to run with."""
    before = hash_of(load_test())
    assert cause_of_change(before, hash_of(load_test(), Inputs({"rows/rows.csv": "2"}))) is Cause.InputsChanged
    assert hash_of(load_test(), GONE, previous=before) == before


def test_the_limits_hash_follows_all_that_judges_and_nothing_else() -> None:
    """Thresholds, tolerated doubts and what budgets ask for; not whom a budget selects."""
    test = validate_loadtest(load_test())
    base = limits_hash(test, [validate_budget(budget())])
    others = [
        limits_hash(validate_loadtest(changed(thresholds={})), [validate_budget(budget())]),
        limits_hash(validate_loadtest(changed(tolerateDoubts=["LoopLag"])), [validate_budget(budget())]),
        limits_hash(test, []),
        limits_hash(test, [validate_budget(budget(responseTime={"*": {"p95": "1s"}}))]),
        limits_hash(test, [validate_budget(budget(enforcement="Warn"))]),
    ]
    assert len({base, *others}) == 6
    assert limits_hash(test, [validate_budget(budget(selector={}))]) == base
    assert limits_hash(validate_loadtest(changed(runners={"count": 9})), [validate_budget(budget())]) == base


def test_a_run_has_one_name_and_another_run_another() -> None:
    """The name depends on the test's uid, the number, the spec and the attempt, and on nothing else."""
    test = validate_loadtest(load_test())
    names = [run_id(test, 1, "a", 1), run_id(test, 2, "a", 1), run_id(test, 1, "b", 1), run_id(test, 1, "a", 2)]
    assert len(set(names)) == 4
    assert run_id(test, 1, "a", 1) == names[0]
    assert names[0].startswith("checkout-1-")
