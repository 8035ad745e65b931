"""The models: what they default to, what they write, what can be asked of them."""

import pydantic
import pytest
from api_manifests import budget, loadtest, put
from hypothesis import given
from hypothesis import strategies as st

from loadgate.api.conditions import Cause, DoubtReason, Outcome, Phase, Reason
from loadgate.api.limits import Threshold
from loadgate.api.loadtest import LoadTest
from loadgate.api.measures import METRICS, tags_of
from loadgate.api.scenarios import EXECUTORS, ConstantArrivalRate, ConstantVUs, RampingVUs
from loadgate.api.selectors import LabelSelector
from loadgate.api.status import Condition, LoadTestStatus
from loadgate.api.steps import Check, Extract, Request, Step, check_names
from loadgate.api.target import Target, Timeouts
from loadgate.api.validate import validate_budget, validate_loadtest
from loadgate.metrics.names import BUILT_IN


def test_what_a_model_writes_is_read_as_the_same():
    """A LoadTest and a budget survive being written and validated again, defaults and all."""
    test = validate_loadtest(loadtest())
    assert validate_loadtest(test.to_json()) == test
    limits = validate_budget(budget())
    assert validate_budget(limits.to_json()) == limits


def test_defaults_are_those_of_the_reference():
    """What a manifest leaves out is filled in as documented."""
    spec = validate_loadtest(loadtest()).spec
    assert spec.start_deadline.seconds == 300
    assert spec.history_limit == 10
    assert spec.ttl_seconds_after_finished == 3600
    assert spec.on_inconclusive.retries == 0
    assert spec.target.max_redirects == 10
    assert spec.target.tls.verify
    assert spec.target.timeout.total.seconds == 30
    journey = spec.scenarios[0]
    assert isinstance(journey, RampingVUs)
    assert (journey.start_vus, journey.graceful_ramp_down.seconds, journey.graceful_stop.seconds) == (1, 30, 30)
    arrivals = spec.scenarios[1]
    assert isinstance(arrivals, ConstantArrivalRate)
    assert arrivals.time_unit.seconds == 1


def test_manifests_are_read_by_their_own_names_only():
    """Code constructs by attribute names, but a manifest that uses them is at fault."""
    assert ConstantVUs(name="a", executor="constant-vus", duration="1s", start_time="1s").start_time.seconds == 1
    with pytest.raises(pydantic.ValidationError):
        ConstantVUs.model_validate(
            {"name": "a", "executor": "constant-vus", "duration": "1s", "start_time": "1s"},
            by_alias=True,
            by_name=False,
        )


def test_models_do_not_change():
    """A model that was validated can't be altered behind validation's back."""
    with pytest.raises(pydantic.ValidationError):
        validate_loadtest(loadtest()).spec.suspend = True


def test_executors_are_known_by_their_names():
    """Each executor's model is found under the name that it demands."""
    for name, model in EXECUTORS.items():
        assert model.model_fields["executor"].annotation.__args__ == (name,)


def test_a_text_stands_for_the_object_it_abbreviates():
    """A threshold's and a timeout's text is the object with that one field."""
    assert Threshold.model_validate("rate<1") == Threshold(threshold="rate<1")
    assert Timeouts.model_validate("5s") == Timeouts(total="5s")
    assert Target.model_validate({"url": "http://x", "timeout": "5s"}).timeout.total.seconds == 5


def test_nulls_that_mean_something_are_kept():
    """A body of null and a default of null are not the same as none; other nulls are left out."""
    assert Request(url="/", json=None).to_json()["json"] is None
    assert "json" not in Request(url="/").to_json()
    assert Extract(header="x", default=None).to_json()["default"] is None
    assert "default" not in Extract(header="x").to_json()
    assert Request(url="/", json={"a": None, "b": [None]}).to_json()["json"] == {"a": None, "b": [None]}
    assert Check(json={"$.a": None}).to_json()["json"] == {"$.a": None}


@pytest.mark.parametrize(
    ("request_", "label"),
    [
        (Request(name="login", url="/a"), "login"),
        (Request(url="/a/b"), "GET /a/b"),
        (Request(method="POST", url="/a?b=c"), "POST /a"),
        (Request(url='/a/${json("?")}/b?c=${x}'), 'GET /a/${json("?")}/b'),
        (Request(url="http://x/${id}"), "GET http://x/${id}"),
    ],
)
def test_a_request_is_called_by_its_name_or_its_url(request_, label):
    """Without a name it is the method and the URL as written, without the query."""
    assert request_.label == label


@pytest.mark.parametrize("kind", ["request", "think", "group", "repeat", "while", "if", "choice"])
def test_a_step_knows_its_kind(kind):
    """A step's kind is the one field that it has."""
    steps = [{"think": "1s"}]
    parts = {
        "request": {"url": "/"},
        "think": "1s",
        "group": {"name": "g", "steps": steps},
        "repeat": {"times": 1, "steps": steps},
        "while": {"value": "x", "is": "y", "max": 1, "steps": steps},
        "if": {"value": "x", "is": "y", "then": steps},
        "choice": [{"steps": steps}],
    }
    assert Step.model_validate({kind: parts[kind]}).kind == kind


def test_checks_have_names_in_the_order_of_their_fields():
    """Each part of a check has one name, which says what is asked of what."""
    check = Check.model_validate(
        {
            "json": {"$.user.id": "exists", "$.n": 3},
            "cookies": {"sid": "absent"},
            "headers": {"content-type": "*json"},
            "body": "~^ok",
            "size": "<64KiB",
            "duration": "<500ms",
            "status": [200, "3xx"],
        }
    )
    assert check_names(check) == [
        "status is 200 or 3xx",
        "duration <500ms",
        "size <64KiB",
        "body matches ^ok",
        "header content-type contains json",
        "cookie sid absent",
        "json $.user.id exists",
        "json $.n is 3",
    ]
    assert check_names(Check()) == []


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ({"key": "app", "operator": "In", "values": ["shop", "web"]}, True),
        ({"key": "app", "operator": "In", "values": ["web"]}, False),
        ({"key": "none", "operator": "In", "values": ["web"]}, False),
        ({"key": "app", "operator": "NotIn", "values": ["web"]}, True),
        ({"key": "none", "operator": "NotIn", "values": ["web"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["shop"]}, False),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "none", "operator": "Exists"}, False),
        ({"key": "none", "operator": "DoesNotExist"}, True),
        ({"key": "app", "operator": "DoesNotExist"}, False),
    ],
)
def test_selectors_match_as_kubernetes_does(expression, matches):
    """A requirement holds or not as Kubernetes says."""
    selector = LabelSelector.model_validate({"matchExpressions": [expression]})
    assert selector.matches({"app": "shop"}) is matches


_LABEL = st.from_regex("[a-z0-9]{1,3}", fullmatch=True)


@given(st.dictionaries(_LABEL, _LABEL, max_size=3))
def test_an_empty_selector_matches_everything(labels):
    """A selector without demands matches every test, and one that demands all labels matches its own."""
    assert LabelSelector().matches(labels)
    if all(labels):
        assert LabelSelector(match_labels=labels).matches({**labels, "more": "x"} if "more" not in labels else labels)


def test_label_demands_are_all_needed():
    """Every label must have its value, and every expression must hold."""
    selector = LabelSelector(match_labels={"a": "1", "b": "2"})
    assert selector.matches({"a": "1", "b": "2", "c": "3"})
    assert not selector.matches({"a": "1"})
    assert not selector.matches({"a": "1", "b": "3"})


def test_an_unseen_status_says_so():
    """A status that nobody wrote has generation -1, and timestamps are written as Kubernetes does."""
    assert LoadTestStatus().to_json()["observedGeneration"] == -1
    condition = Condition.model_validate(
        {"type": "Passed", "status": "True", "reason": "LimitsHeld", "lastTransitionTime": "2026-11-24T10:15:00+02:00"}
    )
    assert condition.to_json()["lastTransitionTime"] == "2026-11-24T08:15:00Z"


def test_metadata_takes_what_kubernetes_adds():
    """Fields of metadata that loadgate doesn't read are no faults."""
    raw = loadtest()
    put(raw, ("metadata", "managedFields"), [{}])
    put(raw, ("metadata", "creationTimestamp"), "2026-11-24T08:15:00Z")
    assert isinstance(validate_loadtest(raw), LoadTest)


def test_built_in_metrics_are_those_that_are_measured():
    """What a threshold may name is what the measurements have, with the same types."""
    assert {name: str(kind) for name, kind in BUILT_IN.items()} == METRICS


def test_tags_are_known_by_metric():
    """Each kind of metric has its own tags; gauges have none."""
    assert tags_of("vus") is None
    assert tags_of("checks") == {"scenario", "name", "group", "check"}
    assert tags_of("dropped_iterations") == {"scenario"}
    assert "status" in tags_of("http_reqs")


@pytest.mark.parametrize("constants", [Phase, Outcome, Reason, DoubtReason, Cause])
def test_every_constant_says_what_it_means(constants):
    """Constants are their own texts, CamelCase as Kubernetes wants reasons, and carry their meaning."""
    for member in constants:
        assert str(member) == member.name
        assert member.name[0].isupper()
        assert len(member.doc) > 10


def test_outcomes_are_the_final_phases():
    """A verdict is shown as the phase of its name, and only such phases are final."""
    assert [outcome.phase for outcome in Outcome] == [phase for phase in Phase if phase.is_final]


def test_doubts_and_reasons_do_not_collide():
    """A Stalled condition's reason is either a doubt or a reason, never ambiguously both."""
    assert not {str(reason) for reason in Reason} & {str(doubt) for doubt in DoubtReason}
