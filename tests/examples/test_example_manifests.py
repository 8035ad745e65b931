"""The examples are what they say."""

from pathlib import Path

import pytest

from loadgate.api.loadtest import LoadTest
from loadgate.plan import compile_plan, most_vus
from loadgate.verdict import select_budgets
from loadgate_cli.bundle import Bundle, build
from loadgate_cli.sources import read_all

EXAMPLES = Path(__file__).parents[2] / "examples"
MANIFESTS = sorted(path.name for path in EXAMPLES.glob("*.yaml"))


def bundle(name: str) -> Bundle:
    """An example, read and checked."""
    sources, faults = read_all([str(EXAMPLES / name)])
    assert not faults
    return build(sources)


def example(name: str) -> LoadTest:
    """The example's one LoadTest."""
    (test,) = bundle(f"{name}.yaml").tests
    return test


@pytest.mark.parametrize("name", MANIFESTS)
def test_example_is_valid(name: str):
    """An example alone has no fault, and all that it refers to is there."""
    assert bundle(name).all_faults == []


@pytest.mark.parametrize("name", MANIFESTS)
def test_example_says_what_it_is_for(name: str):
    """An example begins with a comment, and the comment says how to run it."""
    comment = [line for line in (EXAMPLES / name).read_text().split("apiVersion")[0].splitlines() if line]
    assert all(line.startswith("#") for line in comment)
    assert any(f"examples/{name}" in line or "loadgate demo" in line for line in comment)


def test_all_examples_together_are_valid():
    """The folder as a whole can be given to a command: no two objects have one name."""
    assert bundle("").all_faults == []


@pytest.mark.parametrize(
    ("name", "seconds", "vus", "targets"),
    [
        ("smoke", 30, 1, None),
        ("load", 16 * 60, 20, [10, 10, 20, 20, 0]),
        ("stress", 36 * 60, 100, [20, 20, 50, 50, 100, 100, 0]),
        ("spike", 460, 1400, [100, 100, 1400, 1400, 100, 100, 0]),
    ],
)
def test_shape_of_load(name: str, seconds: float, vus: int, targets: list[int] | None):
    """Smoke, load, stress and spike have the shapes and the limits that they are known for."""
    test = example(name)
    plan = compile_plan(test, run="r")
    (scenario,) = plan.scenarios
    assert plan.duration == seconds
    assert most_vus(scenario.schedule) == vus
    assert targets is None or [stage.target for stage in test.spec.scenarios[0].stages] == targets
    limits = {metric: [one.threshold for one in several] for metric, several in test.spec.thresholds.items()}
    assert limits == {
        "http_req_duration": ["p(95)<500"],
        "http_req_failed": ["rate<0.1"],
        "http_reqs": ["rate>100"],
    }


@pytest.mark.parametrize("name", ["journey", "demo"])
def test_whole_journey(name: str):
    """A user logs in, browses, looks at a product, fills a cart, views it and checks out, all of it checked."""
    steps = example(name).spec.scenarios[0].steps
    assert steps is not None
    requests = [step for step in steps if step.request]
    named = [step.request.label for step in requests if step.request]
    assert [label for label in named if label != "homepage"] == [
        "login",
        "products",
        "details",
        "add to cart",
        "view cart",
    ]
    assert steps[-1].group is not None
    assert all(step.check for step in requests)
    assert any(step.think for step in steps)


def test_demo_takes_half_a_minute():
    """The demo's load lasts 20 seconds, so that all told it is over in about 30."""
    plan = compile_plan(example("demo"), run="r")
    assert (plan.duration, plan.runners) == (20, 2)
    assert plan.tail <= 5


@pytest.mark.parametrize(
    ("name", "judged"), [("load", True), ("stress", True), ("spike", True), ("smoke", True), ("journey", False)]
)
def test_budget_judges_what_it_can(name: str, *, judged: bool):
    """The budget selects the tests that make enough load, and those ask for everything that it limits."""
    (budget,) = bundle("budget.yaml").budgets
    test = example(name)
    assert (budget in select_budgets(test, [budget])) is judged
    steps = test.spec.scenarios[0].steps or []
    asked = {step.request.label for step in steps if step.request} | {"*"}
    assert {*budget.spec.response_time, *budget.spec.throughput, *budget.spec.error_rate} <= asked


def test_budget_has_percentiles_throughput_and_errors():
    """p95 and p99 for the homepage and the API's endpoints, a least throughput, a highest error rate."""
    spec = bundle("budget.yaml").budgets[0].spec
    assert {"homepage", "products", "details"} <= spec.response_time.keys()
    assert all(set(limits) == {"p95", "p99"} for limits in spec.response_time.values())
    assert spec.throughput
    assert spec.error_rate


def test_demo_is_held_to_a_budget():
    """The demo's budget judges the demo."""
    found = bundle("demo.yaml")
    (budget,) = found.budgets
    (test,) = found.tests
    assert budget.spec.selector is not None
    assert budget.spec.selector.matches(test.metadata.labels)
