"""GraphQL operations: what is sent, and which answers have failed."""

import orjson
import pytest
from aiohttp.test_utils import TestServer
from journey_samples import Bench, MemoryRecorder, MemoryTally, an_answer, json_answer, plan_of

from live.app import build
from loadgate.plan.document import PlanTarget, PlanTimeouts
from loadgate_runner.http import Client, Failure, Network
from loadgate_runner.journey import Context, JourneyError, Outcome, compile_scenario

QUERY = "query Product($id: ID!) { product(id: $id) { name } }"


def a_step(check=None, extract=None, **call):
    """A GraphQL step."""
    call = {"url": "/graphql", "query": QUERY, **call}
    return {"graphql": call, **({"check": check} if check else {}), **({"extract": extract} if extract else {})}


async def outcome(answer, **step):
    """The bench of one step that got an answer, and the one record of its request."""
    bench = Bench.steps(a_step(**step), answers=(answer,))
    assert await bench.vu.iterate(0) == "completed", bench.log
    ((record,),) = bench.recorder.requests().values()
    return bench, record


async def test_an_operation_is_a_post_of_json():
    """Document, operation and variables go as JSON, templates in the variables made each time."""
    bench = Bench.steps(
        a_step(operationName="Product", variables={"id": "${vu.id}", "deep": [{"n": "a${iteration}"}], "none": None}),
        answers=(json_answer({"data": {}}),),
    )
    await bench.vu.iterate(4)
    (sent,) = bench.client.sent
    assert (sent.method, sent.url) == ("POST", "http://shop/graphql")
    assert orjson.loads(sent.body) == {
        "query": QUERY,
        "operationName": "Product",
        "variables": {"id": 7, "deep": [{"n": "a4"}], "none": None},
    }
    assert sent.header("content-type") == ["application/json"]
    assert sent.header("accept") == ["application/graphql-response+json, application/json;q=0.9"]


async def test_a_document_may_stand_in_a_file(tmp_path):
    """A file is sent as it is, `${…}` in it included, and one that isn't there can't be compiled."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "q.graphql").write_text('{ a(x: "${vu.id}") }')
    file = {"configMapKeyRef": {"name": "docs", "key": "q.graphql"}}
    step = {"graphql": {"url": "/graphql", "file": file}}
    bench = Bench.steps(step, answers=(json_answer({"data": {}}),), tmp_path=tmp_path)
    await bench.vu.iterate(0)
    assert orjson.loads(bench.client.sent[0].body) == {"query": '{ a(x: "${vu.id}") }'}
    with pytest.raises(JourneyError, match="can't be read"):
        Bench.steps(step, tmp_path=tmp_path / "none")
    (tmp_path / "docs" / "q.graphql").write_bytes(b"\xff")
    with pytest.raises(JourneyError, match="isn't UTF-8"):
        Bench.steps(step, tmp_path=tmp_path)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ({}, "Product"),
        ({"name": "one product"}, "one product"),
        ({"operationName": "Other"}, "Other"),
        ({"query": "{ products { id } }"}, "POST /graphql"),
        ({"query": "fragment F on P { id }\nmutation Buy { buy }"}, "Buy"),
        ({"query": "query A { a }\nquery B { b }"}, "POST /graphql"),
    ],
)
async def test_samples_are_called_like_the_operation(call, name):
    """A step without a name is called like its one operation, else by method and URL."""
    bench, _ = await outcome(json_answer({"data": {}}), **call)
    assert list(bench.recorder.requests()) == [name]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (json_answer({"errors": [{"message": "no such field"}]}), "GraphQL errors: no such field"),
        (json_answer({"data": {"a": 1}, "errors": [{}]}), "GraphQL errors: without a message"),
        (json_answer({"data": None, "errors": "odd"}), "GraphQL errors: without a message"),
        (json_answer({"errors": [{"message": "x" * 999}]}), "GraphQL errors: " + "x" * 200),
        (json_answer({"errors": []}), "GraphQL errors: without a message"),
        (json_answer({"products": []}), "the answer is no GraphQL response"),
        (json_answer([1]), "the answer is no GraphQL response"),
        (an_answer(body=b"<html>"), "the answer is no GraphQL response"),
        (an_answer(body=b""), "the answer is no GraphQL response"),
    ],
)
async def test_a_200_with_errors_has_failed(answer, message):
    """Errors, or an answer that is none of GraphQL's, make a failed request of the kind `graphql`."""
    _, (response, expected, _) = await outcome(answer)
    assert (response.error, expected) == (Failure.GRAPHQL, False)
    assert response.message.startswith(message)
    assert len(response.message) < 300


async def test_an_answer_that_was_cut_is_not_taken_for_a_good_one():
    """Of an answer beyond the bound nobody knows whether it has errors, so it has failed."""
    answer = json_answer({"data": {}})
    answer.truncated = True
    _, (response, expected, _) = await outcome(answer)
    assert (response.error, expected) == (Failure.GRAPHQL, False)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (json_answer({"data": {"product": None}}), None),
        (json_answer({"data": None, "errors": []}), None),
        (json_answer({"data": 1, "errors": None}), None),
        (json_answer({"errors": [{}]}, status=500), None),
        (an_answer(error=Failure.TIMEOUT, status=0), Failure.TIMEOUT),
    ],
)
async def test_other_answers_keep_what_they_are(answer, error):
    """An answer without errors is a good one; statuses and failures on the way stay of their own kind."""
    _, (response, expected, _) = await outcome(answer)
    assert response.error == error
    assert expected is (error is None and response.status == 200)


async def test_errors_may_be_allowed():
    """With `errors: allow` an answer with errors is one like any other."""
    _, (response, expected, _) = await outcome(json_answer({"errors": [{"message": "no"}]}), errors="allow")
    assert (response.error, expected) == (None, True)


async def test_what_came_with_errors_is_checked_and_extracted_from():
    """The answer has failed, but its data is there: checks and extractions look at it."""
    answer = json_answer({"data": {"product": {"name": "lamp"}}, "errors": [{"message": "slow"}]})
    bench, (_, expected, _) = await outcome(
        answer,
        check={"status": 200, "json": {"$.data.product.name": "lamp", "$.errors": "absent"}},
        extract={"name": {"json": "$.data.product.name"}},
    )
    assert not expected
    assert bench.recorder.checks() == {
        "status is 200": [True],
        "json $.data.product.name is lamp": [True],
        "json $.errors absent": [False],
        "extract name": [True],
    }
    assert bench.vu.state.vars == {"name": "lamp"}


SCRIPT = """
async def journey(user):
    reply = await user.graphql("query Product($id: ID!) { product(id: $id) { name } }", variables={"id": "p1"})
    user.check(reply, status=200, json={"$.data.product.name": "exists"})
    reply = await user.graphql("mutation Buy { order(product: \\"none\\", quantity: 1) { total } }")
    assert (reply.error, reply.status, reply.json("$.errors[0].message")) == ("graphql", 200, "there is no product none")
    user.check(reply, {"is told": lambda reply: "no product" in reply.text})
    await user.graphql("{ nonsense }", name="odd", errors="allow")
"""

STEPS = [
    a_step(variables={"id": "p1"}, check={"status": 200, "json": {"$.data.product.name": "exists"}}),
    a_step(
        query='mutation Buy { order(product: "none", quantity: 1) { total } }',
        check={"body": "*no product"},
    ),
    a_step(query="{ nonsense }", name="odd", errors="allow"),
]


@pytest.mark.parametrize("plan", [{"steps": STEPS}, {"script": "j/main.py"}], ids=["steps", "script"])
async def test_operations_on_a_real_server(plan, tmp_path):
    """Steps and a script do the same on a server made with graphql-core: the mutation's error is its failure."""
    (tmp_path / "j").mkdir()
    (tmp_path / "j" / "main.py").write_text(SCRIPT)
    async with TestServer(build()) as server:
        target = PlanTarget(url=str(server.make_url("")).rstrip("/"), timeouts=PlanTimeouts(total=5))
        made = plan_of(*plan.get("steps", ()), script=plan.get("script"), target=target)
        network, recorder, log = Network(), MemoryRecorder(), []
        context = Context(
            run="r", runner_index=0, files=tmp_path, environ={}, recorder=recorder, clock=network.clock,
            sleep=None, client=lambda: Client(network), log=log.append,
        )  # fmt: skip
        vu = compile_scenario(made.scenarios[0], made, context).new_vu(1, MemoryTally())
        assert await vu.iterate(0) is Outcome.COMPLETED, log
        await vu.close()
        network.close()
    found = {
        name: [(one.error, one.status, ok) for one, ok, _ in records] for name, records in recorder.requests().items()
    }
    assert found == {
        "Product": [(None, 200, True)],
        "Buy": [(Failure.GRAPHQL, 200, False)],
        "odd": [(None, 200, True)],
    }
    assert all(all(results) for results in recorder.checks().values())
