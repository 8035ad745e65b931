"""What holds of any journey against any target: it ends, it counts all that it sends, and nothing breaks the runner."""

import asyncio
import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journey_samples import Bench, Sleeper, an_answer, plan_of

from loadgate.api.grammar import template
from loadgate.plan.document import PlanData
from loadgate_runner.http import Failure
from loadgate_runner.journey import Outcome

VARIABLES = ["one", "two"]
EXPRESSIONS = st.sampled_from([
    "one", "two", "vu.id", "iteration", "data.rows.a", "setup.s", "secret.key", "uuid()", "random.int(1, 3)",
    "json(one)", "urlencode(two)", "base64('${one}-${two}')", "random.choice(one, 'b')", "number(one)", "random.int(1, two)",
])  # fmt: skip
TEXTS = st.lists(
    st.text(max_size=5).map(template.escape) | EXPRESSIONS.map(lambda found: f"${{{found}}}"), max_size=3
).map("".join)
TEXTS = TEXTS.map(lambda text: str(template.parse(text))).filter(lambda text: "${" in text or "$" not in text)
BODIES = st.recursive(
    TEXTS | st.integers(0, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)
MATCHERS = st.sampled_from(
    ["exists", "absent", "<5", ">=0", "==a", "!=${one}", "*${two}", "~[a-z]", 1, True, None, "${one}"]
)
PATHS = st.sampled_from(["$", "$.a", "$.a[0]", "$.a[*]", "$..b", "$[?@.a]", "$['b'].a"])
SOURCES = st.one_of(
    st.builds(
        lambda path, pick: {"json": path, "pick": pick}, PATHS, st.sampled_from(["first", "last", "random", "all"])
    ),
    st.sampled_from([{"header": "x"}, {"cookie": "c"}, {"regex": "([a-z]+)"}, {"regex": "\\d", "pick": "random"}]),
)
CHECKS = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from([200, "2xx", [200, "400..499"]]),
        "duration": st.just("<1s"),
        "size": st.just(">0"),
        "body": MATCHERS.filter(lambda value: value is not None),
        "headers": st.dictionaries(st.just("x"), MATCHERS, max_size=1),
        "cookies": st.dictionaries(st.just("c"), MATCHERS, max_size=1),
        "json": st.dictionaries(PATHS, MATCHERS, max_size=2),
    },
)


@st.composite
def requests(draw):
    """A request step."""
    request = {
        "url": "/" + draw(TEXTS),
        "method": draw(st.sampled_from(["GET", "POST", "HEAD"])),
        "name": draw(st.sampled_from("ab")),
    }
    if draw(st.booleans()):
        request |= draw(
            st.sampled_from(["json", "form", "text"]).flatmap(
                lambda kind: st.fixed_dictionaries({kind: BODY_KINDS[kind]})
            )
        )
    if draw(st.booleans()):
        request["headers"] = {"X-A": draw(TEXTS.filter(lambda text: not re.search("[\r\n\0]", text)))}
    extract = {
        name: source | draw(st.sampled_from([{}, {"default": 4}]))
        for name, source in draw(st.dictionaries(st.sampled_from(VARIABLES), SOURCES, max_size=2)).items()
    }
    return {"request": request, "check": draw(CHECKS), "extract": extract}


BODY_KINDS = {"json": BODIES, "form": st.dictionaries(st.text("ab", max_size=2), TEXTS, max_size=2), "text": TEXTS}
STEPS = st.recursive(
    requests() | st.sampled_from([{"think": "1s"}, {"think": "1s..2s"}]),
    lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
        lambda steps: st.sampled_from([
            {"group": {"name": "g", "steps": steps}},
            {"repeat": {"times": 3, "steps": steps}},
            {"while": {"value": "${one}", "is": "!=z", "max": 2, "steps": steps}},
            {"if": {"value": "${two}", "is": "exists", "then": steps, "else": steps[:1]}},
            {"choice": [{"weight": 1, "steps": steps}, {"weight": 2, "steps": steps[:1]}]},
        ])
    ),
    max_leaves=5,
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
ANSWERS = st.builds(
    an_answer,
    status=st.sampled_from([0, 200, 201, 404, 500]),
    body=st.binary(max_size=20)
    | JSON.map(lambda value: orjson.dumps(value, default=str) if _fits(value) else b"[" * 400 + b"]" * 400),
    head=st.dictionaries(st.just("x"), st.text("ab1,", max_size=3), max_size=1),
    cookies=st.dictionaries(st.just("c"), st.text("ab1", max_size=3), max_size=1),
    error=st.none() | st.none() | st.sampled_from(Failure),
    hops=st.sampled_from([(), (an_answer(status=302),), (an_answer(status=302), an_answer(status=307))]),
)


def _fits(value):
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=4), st.lists(ANSWERS, min_size=1, max_size=6), st.integers(0, 6))
def test_any_journey_ends_and_counts_all_that_it_sends(steps, answers, allowed):
    """Whatever a target answers, an iteration is complete, interrupted, or has a value that doesn't fit."""
    bench = Bench(
        plan_of(*steps, data={"rows": PlanData(order="random", rows=[{"a": "x"}, {"a": None}])}, secrets={"key": "K"}),
        *answers,
        sleep=Sleeper(allowed),
        environ={"K": "hush-hush"},
        setup={"s": [1, {"b": 2}]},
    )

    async def run():
        return [await bench.vu.iterate(number, number) for number in range(4)]

    outcomes = asyncio.run(run())
    assert set(outcomes) <= {Outcome.COMPLETED, Outcome.INTERRUPTED, Outcome.FAILED}
    failed = [series.records for key, series in bench.recorder.series.items() if key[0] == "counter"]
    assert sum(map(len, failed)) == outcomes.count(Outcome.FAILED)
    assert all(dict(key[2])["error"] == "ValueFault" for key in bench.recorder.series if key[0] == "counter"), bench.log
    recorded = [record for records in bench.recorder.requests().values() for record in records]
    finals = [record for record in recorded if not _is_hop(record, answers)]
    assert len(finals) == len(bench.client.sent)
    assert all(isinstance(result, bool) for results in bench.recorder.checks().values() for result in results)
    assert sum(due is not None for _, _, due in recorded) <= 4
    assert not any("hush-hush" in line for line in bench.log)


def _is_hop(record, answers):
    return any(record[0] is hop for answer in answers for hop in answer.hops)


async def test_the_example_in_the_docs_is_a_journey(tmp_path):
    """What docs/journeys.md shows runs as it stands."""
    docs = Path(__file__).parents[2] / "docs" / "journeys.md"
    (code,) = re.findall(r"```python\n(.*?)```", docs.read_text(), re.DOTALL)
    (tmp_path / "j.py").write_text(code)
    answers = (an_answer(body=b'{"token": "t"}'), an_answer(status=201, body=b'{"total": 5}'))
    data = {"products": PlanData(order="random", rows=[{"sku": "a1"}])}
    plan = plan_of(script="j.py", data=data, secrets={"password": "PW"})
    bench = Bench(plan, *answers, tmp_path=tmp_path, environ={"PW": "x"})
    assert await bench.vu.iterate(0) is Outcome.COMPLETED, bench.log
    assert all(all(results) for results in bench.recorder.checks().values())
    assert [sent.path for sent in bench.client.sent] == [b"/auth/login", b"/cart"]


@pytest.mark.parametrize(
    "name",
    [
        "get",
        "post",
        "put",
        "patch",
        "delete",
        "head",
        "options",
        "request",
        "graphql",
        "sse",
        "websocket",
        "grpc",
        "check",
        "think",
        "group",
        "data",
        "secret",
        "setup",
        "vars",
        "random",
        "id",
        "iteration",
        "number",
        "scenario",
        "run",
        "metrics",
    ],
)
def test_the_docs_name_all_of_a_user(name):
    """The table of docs/journeys.md is whole."""
    docs = (Path(__file__).parents[2] / "docs" / "journeys.md").read_text()
    assert re.search(rf"`(await )?(user\.)?{name}\b", docs)
