"""Python journeys: the same requests, checks and recording as steps; whatever they raise, the runner goes on."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journey_samples import Bench, Sleeper, an_answer, json_answer, plan_of

from loadgate.plan.document import PlanData, PlanTarget, PlanTimeouts
from loadgate_runner.http import Failure
from loadgate_runner.journey import JourneyError, Outcome
from loadgate_runner.journey.kit import Kit
from loadgate_runner.journey.reply import Reply

ITEMS = json_answer(
    {"token": "t", "items": [{"id": 1}, {"id": 2}]}, duration=250_000, head={"X-A": "1"}, cookies={"c": "d"}
)


@pytest.fixture
def bench(tmp_path):
    """Makes a bench for a journey's body."""
    (tmp_path / "scripts").mkdir()

    def make(body, *answers, whole=False, **more):
        code = textwrap.dedent(body)
        if not whole:
            code = "async def journey(user):\n" + textwrap.indent(code, "    ")
        (tmp_path / "scripts" / "journey.py").write_text(code)
        fields = {key: more.pop(key) for key in ("data", "secrets", "tags", "target") if key in more}
        return Bench(plan_of(script="scripts/journey.py", **fields), *answers, tmp_path=tmp_path, **more)

    return make


async def completes(made, number=0, due=None):
    """Do an iteration that has to be complete."""
    assert await made.vu.iterate(number, due) is Outcome.COMPLETED, made.log


async def test_requests_are_sent_and_recorded_as_those_of_steps(bench):
    """With names, groups, tags, due times, and what makes them fail."""
    made = bench(
        """
        await user.get("/a?x=1")
        with user.group("outer"):
            with user.group("inner"):
                await user.post("/b", name="B", tags={"area": "shop"}, status=(404, "5xx"))
            await user.request("options", "/c", status="2xx")
        await user.put("/d"); await user.patch("/d"); await user.delete("/d"); await user.head("/d"); await user.options("/d")
        """,
        an_answer(status=500),
        tags={"test_type": "load"},
    )
    await completes(made, due=-5)
    records = {key[1]: series.records for key, series in made.recorder.series.items()}
    base = {"scenario": "s", "test_type": "load"}
    seen = [(dict(key), expected, due) for key, ((_, expected, due),) in records.items()]
    assert seen == [
        (base | {"name": "GET /a", "method": "GET", "group": ""}, False, 999_995),
        (base | {"name": "B", "method": "POST", "group": "outer::inner", "area": "shop"}, True, None),
        (base | {"name": "OPTIONS /c", "method": "OPTIONS", "group": "outer"}, False, None),
        (base | {"name": "PUT /d", "method": "PUT", "group": ""}, False, None),
        (base | {"name": "PATCH /d", "method": "PATCH", "group": ""}, False, None),
        (base | {"name": "DELETE /d", "method": "DELETE", "group": ""}, False, None),
        (base | {"name": "HEAD /d", "method": "HEAD", "group": ""}, False, None),
        (base | {"name": "OPTIONS /d", "method": "OPTIONS", "group": ""}, False, None),
    ]


async def test_a_request_has_all_its_parts(bench):
    """Query, headers, bodies, authentication, timeout."""
    made = bench(
        """
        await user.get("/a b", query={"q": "x y", "n": [1, 2], "none": None}, headers={"x-t": "own", "X-N": 5})
        await user.post("https://other:8443/x?y=1", query={"z": True}, json={"a": [1, None]}, auth="tok")
        await user.post("/form", form={"a": ["1", 2]}, auth=("ann", "pw"), timeout="2s")
        await user.post("/text", body="ü", timeout=1.5)
        await user.post("/bytes", body=b"\\x00", headers={"Content-Type": "x/y", "User-Agent": "me"})
        await user.post("/none", json=None)
        """,
        target=PlanTarget(
            url="http://shop/base", timeouts=PlanTimeouts(total=9), headers={"X-T": "t", "X-V": "${vu.id}"}
        ),
    )
    await completes(made)
    first, other, form, text, raw, null = made.client.sent
    assert first.url == "http://shop/base/a%20b?q=x+y&n=1&n=2"
    assert [first.header(name) for name in ("x-t", "x-n", "x-v")] == [["own"], ["5"], ["7"]]
    assert (other.url, other.body) == ("https://other:8443/x?y=1&z=true", b'{"a":[1,null]}')
    assert [other.header(name) for name in ("authorization", "content-type", "x-t")] == [
        ["Bearer tok"],
        ["application/json"],
        ["t"],
    ]
    assert (form.body, form.header("authorization")) == (b"a=1&a=2", ["Basic YW5uOnB3"])
    assert (form.prepared.options.timeouts.total, text.prepared.options.timeouts.total) == (2.0, 1.5)
    assert (text.body, text.header("content-type")) == ("ü".encode(), ["text/plain; charset=utf-8"])
    assert (raw.body, raw.header("content-type"), raw.header("user-agent")) == (b"\0", ["x/y"], ["me"])
    assert null.body == b"null"
    assert len({id(sent.prepared) for sent in made.client.sent[:1]}) == 1


async def test_requests_of_one_shape_are_prepared_once(bench):
    """However their paths, bodies and headers' values differ."""
    made = bench('await user.post(f"/p/{user.number}", json=user.number, headers={"X": str(user.number)})')
    for number in range(3):
        await completes(made, number)
    assert len({id(sent.prepared) for sent in made.client.sent}) == 1
    assert [sent.body for sent in made.client.sent] == [b"0", b"1", b"2"]


async def test_a_reply_has_all_that_came(bench):
    """Status, headers, text, JSON whole and by path, seconds."""
    made = bench(
        """
        r = await user.get("/")
        assert (r.status, r.ok, r.error, r.duration, r.name) == (200, True, None, 0.25, "GET /")
        assert (r.headers.get("x-a"), r.cookies, r.text.startswith("{"), r.body[:1]) == ("1", {"c": "d"}, True, b"{")
        assert r.json()["items"] == [{"id": 1}, {"id": 2}]
        assert (r.json("$.token"), r.json("$.items[*].id"), r.json("$.gone"), r.json("$..gone", 5)) == ("t", 1, None, 5)
        """,
        ITEMS,
    )
    await completes(made)


async def test_a_failed_request_is_a_reply_too(bench):
    """Nothing raises for what a target does."""
    made = bench(
        """
        r = await user.get("/")
        assert (r.status, r.ok, r.error, r.json("$.a", "none")) == (0, False, "timeout", "none")
        assert user.check(r, {"never": lambda r: True, "nor": True}, status=200) is False
        """,
        an_answer(status=0, error=Failure.TIMEOUT),
    )
    await completes(made)
    assert made.recorder.checks() == {"status is 200": [False], "never": [False], "nor": [False]}


async def test_checks_are_those_of_steps_and_named_predicates(bench):
    """A predicate that raises over what came has not held."""
    made = bench(
        """
        r = await user.get("/", name="N")
        with user.group("later"):
            ok = user.check(r, {"has two": lambda r: len(r.json()["items"]) == 2}, status=200, duration="<500ms", size=">0",
                            body="*token", headers={"x-a": 1}, cookies={"c": "d"}, json={"$.items[*].id": 2}, named=True)
        assert ok is True
        assert user.check(r, lacks=lambda r: r.json()["no"], status=201) is False
        assert user.check(r) is True
        """,
        ITEMS,
    )
    await completes(made)
    assert made.recorder.checks() == {
        "status is 200": [True], "duration <500ms": [True], "size >0": [True], "body contains token": [True],
        "header x-a is 1": [True], "cookie c is d": [True], "json $.items[*].id is 2": [True],
        "has two": [True], "named": [True], "status is 201": [False], "lacks": [False],
    }  # fmt: skip
    assert all(
        dict(key[1])["name"] == "N" and dict(key[1])["group"] == "" for key in made.recorder.series if key[0] == "check"
    )


async def test_a_user_has_all_that_templates_have(bench):
    """Ids, variables, setup, secrets, rows, random numbers."""
    made = bench(
        """
        assert (user.id, user.iteration, user.number, user.scenario, user.run) == (7, 0, 3, "s", "run-1")
        assert user.setup["token"] == "abc"
        assert user.secret.password == user.secret["password"] == "pw"
        assert repr(user.secret) == "{'password': ***}"
        assert user.vars == {}
        user.vars["x"] = 1
        assert user.data.rows["sku"] == user.data["rows"]["sku"] == "b"
        assert 0 <= user.random.random() < 1
        """,
        secrets={"password": "PW"},
        environ={"PW": "pw"},
        setup={"token": "abc"},
        data={"rows": PlanData(order="sequential", rows=[{"sku": "a"}, {"sku": "b"}])},
    )
    await completes(made, 3)
    assert await made.vu.iterate(3) is Outcome.FAILED  # user.iteration is 1 now
    assert "assert (user.id" in made.log[0]


async def test_a_unique_row_is_taken_when_it_is_asked_for(bench):
    """One for each iteration that asks, until there is none."""
    made = bench(
        """
        if user.number != 1:
            await user.get(f"/{user.data.rows['n']}{user.data.rows['n']}")
        """,
        data={"rows": PlanData(order="unique", rows=[{"n": 1}, {"n": 2}])},
    )
    outcomes = [await made.vu.iterate(number) for number in range(4)]
    assert outcomes == [Outcome.COMPLETED] * 3 + [Outcome.EXHAUSTED]
    assert [sent.path for sent in made.client.sent] == [b"/11", b"/22"]
    assert made.recorder.exhausted == ["rows"]


async def test_custom_metrics_are_recorded_by_type_and_name(bench):
    """With the scenario's tags and their own."""
    made = bench(
        """
        user.metrics.counter("orders", kind="a").add(2)
        user.metrics.gauge("queue").add(7)
        user.metrics.rate("found").add(True)
        user.metrics.trend("size").add(1.5)
        """,
        tags={"area": "shop"},
    )
    await completes(made)
    await completes(made)
    tags = (("area", "shop"), ("scenario", "s"))
    assert {key: series.records for key, series in made.recorder.series.items()} == {
        ("counter", "orders", (("area", "shop"), ("kind", "a"), ("scenario", "s"))): [2, 2],
        ("gauge", "queue", tags): [7, 7],
        ("rate", "found", tags): [True, True],
        ("trend", "size", tags): [1.5, 1.5],
    }


async def test_a_pause_is_a_text_or_seconds(bench):
    """Drawn from a range as a step's is."""
    made = bench('await user.think("2s"); await user.think("1s..3s"); await user.think(0.5)')
    await completes(made)
    assert made.sleep.slept[0::2] == [2.0, 0.5]
    assert 1 <= made.sleep.slept[1] <= 3


async def test_a_pause_that_is_cut_short_ends_the_iteration(bench):
    """Even in a journey that catches errors of its own."""
    made = bench(
        """
        try:
            await user.think("1s")
        except Exception:
            pass
        await user.get("/")
        """,
        sleep=Sleeper(allowed=0),
    )
    assert await made.vu.iterate(0) is Outcome.INTERRUPTED
    assert made.client.sent == []


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ("raise RuntimeError('boom')", "RuntimeError", "raise RuntimeError('boom')"),
        ("raise SystemExit(3)", "SystemExit", "SystemExit: 3"),
        ("import sys; sys.exit()", "SystemExit", "sys.exit()"),
        ("1 / 0", "ZeroDivisionError", "1 / 0"),
        ("(await user.get('/')).json()", "ValueFault", "is no JSON"),
        ("(await user.get('/')).json('$[')", "ValueFault", "JSONPath"),
        ("await user.get('http://[')", "ValueFault", "IPv6"),
        ("await user.get('/', status='nope')", "ValueFault", "no status"),
        ("await user.get('/', timeout='soon')", "ValueFault", "not a duration"),
        ("await user.get('/', form={}, body='x')", "ValueFault", "one of json, form, multipart and body"),
        ("await user.think('soon')", "ValueFault", "not a duration"),
        ("user.check(await user.get('/'), json={'$[': 1})", "ValueFault", "check"),
        ("user.check(await user.get('/'), status=[])", "ValueFault", "check"),
        ("user.data.gone", "AttributeError", "no data source 'gone'"),
        ("user.data['gone']", "KeyError", "gone"),
        ("user.secret.gone", "AttributeError", "no secret 'gone'"),
        ("user.metrics.counter('a b')", "ValueFault", "metric of your own"),
        ("user.metrics.counter('http_reqs')", "ValueFault", "metric of your own"),
        ("await user.get('/', headers={'a b': '1'})", "ValueError", "not a header"),
        ("await user.get('/', nope=1)", "TypeError", "nope"),
    ],
)
async def test_an_error_fails_the_iteration_and_is_told(bench, body, kind, told):
    """By its kind, with the journey's own lines, a few times; the virtual user goes on."""
    made = bench(body)
    assert [await made.vu.iterate(number) for number in range(9)] == [Outcome.FAILED] * 9
    assert made.recorder.series["counter", "iterations_failed", (("error", kind), ("scenario", "s"))].records == [1] * 9
    assert len(made.log) == 5
    assert told in made.log[0]
    assert "vu.py" not in made.log[0]


async def test_kinds_of_errors_are_bounded(bench):
    """A journey that makes kinds up fills neither log nor measurement."""
    made = bench("raise type(f'E{user.number}', (Exception,), {})")
    for number in range(60):
        assert await made.vu.iterate(number) is Outcome.FAILED
    assert len([key for key in made.recorder.series if key[0] == "counter"]) == 21
    assert len(made.log) == 25


SECRET = {"secrets": {"password": "PW"}, "environ": {"PW": "hush-hush"}}


async def test_no_secret_is_told(bench):
    """Not even one that the journey puts into an error itself."""
    made = bench("raise ValueError(f'bad {user.secret.password}')", **SECRET)
    await made.vu.iterate(0)
    assert "ValueError: bad ***" in made.log[0]
    assert "hush" not in made.log[0]


async def test_no_secret_is_in_a_name(bench):
    """Names are made of URLs, and of what checks compare with; they are stored and shown."""
    made = bench(
        """
        secret = user.secret.password
        with user.group(secret):
            r = await user.get(f"/reset/{secret}", tags={"t": secret})
            user.check(r, {f"has {secret}": True}, json={"$": secret})
        user.metrics.counter("c", t=secret).add(1)
        """,
        **SECRET,
    )
    await completes(made)
    assert made.client.sent[0].path == b"/reset/hush-hush"
    assert len(made.recorder.series) == 4
    assert "hush" not in str(list(made.recorder.series))
    assert "GET /reset/***" in made.recorder.requests()
    assert "hush" not in repr(made.context)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def journey(user): pass", "no `async def journey(user)`"),
        ("x = 1", "no `async def journey(user)`"),
        ("async def journey(): pass", "takes one argument"),
        ("async def journey(user, more): pass", "takes one argument"),
        ("async def journey(user:\n", "SyntaxError"),
        ("import gone_module", "gone_module"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_a_script_that_does_not_load_is_refused(bench, code, told):
    """Before any load, with its own words."""
    with pytest.raises(JourneyError, match=r"scripts/journey\.py") as raised:
        bench(code, whole=True)
    assert told in str(raised.value)


def test_a_script_that_is_not_there_or_no_text_is_refused(tmp_path):
    """As a key that the ConfigMap lacks."""
    with pytest.raises(JourneyError, match="can't be read"):
        Bench(plan_of(script="scripts/gone.py"), tmp_path=tmp_path)
    (tmp_path / "bad.py").write_bytes(b"# \xff\xfe\nx = '\xff'")
    with pytest.raises(JourneyError, match="doesn't load"):
        Bench(plan_of(script="bad.py"), tmp_path=tmp_path)


async def test_a_script_may_have_all_of_python(bench):
    """Dataclasses, functions, constants, type hints."""
    made = bench(
        """
        from __future__ import annotations
        from dataclasses import dataclass

        @dataclass
        class Cart:
            items: list[str]

        async def fill(user, cart: Cart):
            await user.post("/cart", json=cart.items)

        async def journey(user) -> None:
            await fill(user, Cart(["a"]))
        """,
        whole=True,
    )
    await completes(made)
    assert made.client.sent[0].body == b'["a"]'


async def test_a_group_ends_with_an_error_in_it(bench):
    """The next iteration begins without one."""
    made = bench(
        """
        with user.group("g"):
            await user.get("/in")
            if user.iteration == 0:
                raise RuntimeError
        await user.get("/out")
        """
    )
    await made.vu.iterate(0)
    await made.vu.iterate(1)
    groups = {dict(key[1])["name"]: dict(key[1])["group"] for key in made.recorder.series if key[0] == "request"}
    assert groups == {"GET /in": "g", "GET /out": ""}


async def test_two_scenarios_of_one_script_share_nothing(bench):
    """Each has its own module."""
    made = bench("global n\nn = globals().get('n', 0) + 1\nawait user.get(f'/{n}')")
    other = bench("global n\nn = globals().get('n', 0) + 1\nawait user.get(f'/{n}')")
    for each in (made, other, made):
        await completes(each)
    assert [sent.path for sent in made.client.sent] == [b"/1", b"/2"]
    assert [sent.path for sent in other.client.sent] == [b"/1"]


def test_what_is_kept_by_name_is_bounded(bench):
    """Names made of data don't fill the runner's memory."""
    made = bench("pass")
    kit = Kit(
        next(
            cell.cell_contents for cell in made.journey.acts[0][0].__closure__ if isinstance(cell.cell_contents, Kit)
        ).shop
    )
    for number in range(3000):
        kit.request_series(f"GET /{number}", "GET", "", None)
        kit.metrics.counter("c", n=str(number))
    assert len(kit._series) == 1000


@given(st.binary(max_size=50))
def test_any_body_can_be_asked_for_json(body):
    """By a path it never raises."""
    reply = Reply(an_answer(body=body), "n", "")
    assert reply.json("$.a.b", "none") == "none"
