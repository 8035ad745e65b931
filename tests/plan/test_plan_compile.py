"""A LoadTest's plan: seconds, schedules, references, and nothing secret."""

import orjson
import pytest

from loadgate.api.loadtest import LoadTest
from loadgate.plan import (
    ArrivalSchedule,
    IterationSchedule,
    Plan,
    PlanError,
    Share,
    VUSchedule,
    compile_plan,
    config_map_refs,
    planned_iterations,
    progress,
    secret_env,
    secret_sources,
    vus_at,
    walk,
)

STEPS = [{"request": {"url": "/"}}]


def scenario(executor, **more):
    return {"name": more.pop("name", "s"), "executor": executor, "steps": STEPS, **more}


def load_test(*scenarios, **spec):
    return LoadTest.model_validate(
        {
            "metadata": {"name": "shop", "namespace": "web"},
            "spec": {"target": {"url": "http://127.0.0.1"}, "scenarios": list(scenarios), **spec},
        }
    )


def plan_of(*scenarios, **spec):
    return compile_plan(load_test(*scenarios, **spec), run="shop-1")


@pytest.mark.parametrize(
    ("given", "kind", "end", "iterations"),
    [
        (scenario("shared-iterations", vus=3, iterations=10), IterationSchedule, 600, 10),
        (scenario("per-vu-iterations", vus=3, iterations=10, maxDuration="1m"), IterationSchedule, 60, 30),
        (scenario("constant-vus", vus=2, duration="90s"), VUSchedule, 90, None),
        (scenario("ramping-vus", stages=[{"duration": "10s", "target": 5}], startTime="5s"), VUSchedule, 15, None),
        (scenario("constant-arrival-rate", rate=5, duration="4s", preAllocatedVUs=2), ArrivalSchedule, 4, 20),
        (
            scenario("ramping-arrival-rate", startRate=60, timeUnit="1m", preAllocatedVUs=1, maxVUs=9)
            | {"stages": [{"duration": "1m", "target": 120}]},
            ArrivalSchedule,
            60,
            90,
        ),
    ],
)
def test_each_executor_is_a_schedule(given, kind, end, iterations):
    """Each executor compiles to its kind of schedule, with its length and, where it is known, its iterations."""
    planned = plan_of(given).scenarios[0]
    assert isinstance(planned.schedule, kind)
    assert planned.end == end
    assert planned_iterations(planned) == iterations


def test_an_executor_without_max_vus_has_the_allocated_ones():
    """MaxVUs defaults to preAllocatedVUs."""
    given = scenario("constant-arrival-rate", rate=5, duration="4s", preAllocatedVUs=2)
    assert plan_of(given).most_vus == 2
    assert plan_of(given | {"maxVUs": 8}).most_vus == 8


def test_remainders_are_dealt_evenly_over_scenarios():
    """Four scenarios of one VU each keep four runners busy with one each, and sums are exact at every moment."""
    plan = plan_of(
        *(scenario("constant-vus", vus=1, duration="1s", name=f"s{i}") for i in range(4)), runners={"count": 4}
    )
    vus = [sum(s.share(i, 4).count(vus_at(s.schedule, 0.5)) for s in plan.scenarios) for i in range(4)]
    assert vus == [1, 1, 1, 1]
    assert plan.scenarios[2].share(2, 4) == Share(0, 4)


def test_the_plan_survives_json():
    """A plan read back is the plan, and what a step's author left out stays left out."""
    plan = plan_of(
        {
            "name": "a",
            "executor": "constant-vus",
            "duration": "1s",
            "steps": [
                {
                    "request": {"url": "/", "json": {"a": None}},
                    "check": {"json": {"$.x": None}},
                    "extract": {"x": {"json": "$.x", "default": None}, "y": {"header": "etag"}},
                }
            ],
        },
        warmup="5s",
    )
    read = Plan.decode(plan.encode())
    assert read == plan
    extract = read.scenarios[0].steps[0].extract
    assert "default" in extract["x"].model_fields_set
    assert "default" not in extract["y"].model_fields_set
    assert orjson.loads(plan.encode())["version"] == 1


@pytest.mark.parametrize("data", [b"", b"[]", b'{"version": 2}', b'{"version": 1}'])
def test_garbage_is_no_plan(data):
    """Anything but a whole plan of this version raises PlanError, naming what is wrong."""
    with pytest.raises(PlanError, match="not a plan of version 1"):
        Plan.decode(data)


FULL = {
    "target": {
        "url": "https://127.0.0.1",
        "timeout": {"connect": "1s", "tls": "2s", "firstByte": "3s", "total": "4s"},
        "tls": {
            "ca": {"configMapKeyRef": {"name": "ca", "key": "ca.pem"}},
            "cert": {"secretKeyRef": {"name": "client", "key": "tls.crt"}},
            "key": {"secretKeyRef": {"name": "client", "key": "tls.key"}},
        },
    },
    "secrets": {"pass-word": {"secretKeyRef": {"name": "user", "key": "password"}}},
    "data": {
        "rows": {"inline": [{"a": 1}], "order": "unique"},
        "csv": {"csv": {"configMapKeyRef": {"name": "d", "key": "a.csv"}}},
        "json": {"json": {"configMapKeyRef": {"name": "d", "key": "a.json"}}},
    },
    "setup": {"steps": [{"request": {"url": "/", "file": {"configMapKeyRef": {"name": "b", "key": "1"}}}}]},
    "teardown": {"steps": [{"group": {"name": "g", "steps": STEPS}}]},
}
PARTS = [{"name": "p", "file": {"configMapKeyRef": {"name": "b", "key": "2"}}}, {"name": "q", "value": "v"}]


def full():
    nested = {"request": {"url": "/", "multipart": PARTS}}
    steps = [
        {"if": {"value": "${vu.id}", "is": "1", "then": STEPS, "else": [nested]}},
        {"repeat": {"times": 2, "steps": STEPS}},
        {"while": {"value": "x", "is": "y", "max": 2, "steps": STEPS}},
        {"choice": [{"steps": STEPS}, {"steps": STEPS}]},
    ]
    script = {"configMapKeyRef": {"name": "j", "key": "a.py"}}
    return load_test(
        {"name": "a", "executor": "constant-vus", "duration": "1s", "steps": steps},
        {"name": "b", "executor": "constant-vus", "duration": "1s", "script": script},
        **FULL,
    )


def test_references_become_paths_and_environment():
    """ConfigMaps become files, secrets become environment variables, and no value of either is in the plan."""
    plan = compile_plan(full(), run="r")
    assert plan.files == ["b/1", "b/2", "ca/ca.pem", "d/a.csv", "d/a.json", "j/a.py"]
    assert [s.script for s in plan.scenarios] == [None, "j/a.py"]
    assert plan.target.ca_file == "ca/ca.pem"
    assert plan.secrets == {"pass-word": secret_env("pass-word")}
    assert {env: f"{ref.name}/{ref.key}" for env, ref in secret_sources(full()).items()} == {
        "LOADGATE_SECRET_pass_2d_word": "user/password",
        "LOADGATE_TLS_CERT": "client/tls.crt",
        "LOADGATE_TLS_KEY": "client/tls.key",
    }
    assert (plan.data["csv"].format, plan.data["json"].format, plan.data["rows"].rows) == ("csv", "json", [{"a": 1}])
    assert (plan.target.timeouts.connect, plan.target.timeouts.total) == (1.0, 4.0)
    assert len(list(config_map_refs(full()))) == 6


def test_files_that_describe_messages_are_the_runners_too():
    """A protoset and each .proto file of a gRPC step, wherever the step stands."""
    sources = {key: {"configMapKeyRef": {"name": "p", "key": key}} for key in ("a", "b", "c")}
    calls = [
        {"grpc": {"method": "a.B/C", "protoset": sources["a"]}},
        {"grpc": {"method": "a.B/C", "protos": {"x/b.proto": sources["b"], "x/c.proto": sources["c"]}}},
    ]
    steps = [{"group": {"name": "g", "steps": calls}}]
    test = load_test({"name": "a", "executor": "constant-vus", "duration": "1s", "steps": steps})
    assert compile_plan(test, run="r").files == ["p/a", "p/b", "p/c"]


def test_how_connections_are_kept_and_names_looked_up():
    """Bounds and times become seconds; what is left out bounds nothing."""
    target = {
        "url": "http://shop",
        "connection": {
            "reuse": "iteration",
            "maxRequests": 100,
            "maxAge": "1m30s",
            "idleTimeout": "500ms",
            "sourceAddresses": ["127.0.0.1", "10.0.0.0/28"],
            "uploadRate": "128Ki",
        },
        "dns": {"ttl": "5s", "select": "random", "policy": "onlyIPv4"},
    }
    plan = plan_of(scenario("constant-vus", vus=1, duration="1s"), target=target)
    assert plan.target.connection.model_dump() == {
        "reuse": "iteration", "max_requests": 100, "max_age": 90.0, "idle_timeout": 0.5,
        "unix_socket": None, "source_addresses": ["127.0.0.1", "10.0.0.0/28"], "share": 1,
        "max_connections": None,
        "upload_rate": 131072.0, "download_rate": None,
    }  # fmt: skip
    assert plan.target.dns.model_dump() == {"ttl": 5.0, "select": "random", "policy": "onlyIPv4"}
    left_out = plan_of(scenario("constant-vus", vus=1, duration="1s")).target
    assert (left_out.connection.reuse, left_out.connection.max_requests, left_out.dns.ttl) == ("always", None, 0.0)
    assert (left_out.protocol, left_out.connection.share) == ("HTTP/1.1", 1)
    second = {"url": "http://shop", "protocol": "HTTP/2", "connection": {"share": 20}}
    plan = plan_of(scenario("constant-vus", vus=1, duration="1s"), target=second)
    assert (plan.target.protocol, plan.target.connection.share) == ("HTTP/2", 20)
    pooled = {"url": "http://shop", "connection": {"maxConnections": 30}}
    plan = plan_of(scenario("constant-vus", vus=1, duration="1s"), target=pooled)
    assert plan.target.connection.max_connections == 30


def test_a_proxys_credentials_are_no_part_of_the_plan():
    """They come by environment, its certificates from a ConfigMap or a Secret; without a proxy there is nothing."""
    proxy = {
        "url": "https://proxy:3128",
        "noProxy": [".svc", "10.0.0.0/8"],
        "auth": {part: {"secretKeyRef": {"name": "proxy", "key": part}} for part in ("username", "password")},
        "ca": {"configMapKeyRef": {"name": "ca", "key": "proxy.pem"}},
    }
    test = load_test(scenario("constant-vus", duration="1s"), target={"url": "http://shop", "proxy": proxy})
    plan = compile_plan(test, run="r")
    assert plan.target.proxy.model_dump() == {
        "url": "https://proxy:3128", "no_proxy": [".svc", "10.0.0.0/8"], "ca_file": "ca/proxy.pem", "ca_env": None,
        "username_env": "LOADGATE_PROXY_USERNAME", "password_env": "LOADGATE_PROXY_PASSWORD",
    }  # fmt: skip
    assert plan.files == ["ca/proxy.pem"]
    assert {env: f"{ref.name}/{ref.key}" for env, ref in secret_sources(test).items()} == {
        "LOADGATE_PROXY_USERNAME": "proxy/username",
        "LOADGATE_PROXY_PASSWORD": "proxy/password",
    }
    proxy = {"url": "https://proxy:3128", "ca": {"secretKeyRef": {"name": "ca", "key": "proxy.pem"}}}
    test = load_test(scenario("constant-vus", duration="1s"), target={"url": "http://shop", "proxy": proxy})
    assert list(secret_sources(test)) == ["LOADGATE_PROXY_CA"]
    assert compile_plan(test, run="r").target.proxy.ca_env == "LOADGATE_PROXY_CA"
    assert plan_of(scenario("constant-vus", vus=1, duration="1s")).target.proxy is None


def test_the_share_of_traced_requests_is_a_number():
    """However it is written; without `tracing` there is none."""
    for sample, share in (("1%", 0.01), (0.25, 0.25), ("1", 1.0)):
        target = {"url": "http://shop", "tracing": {"sample": sample}}
        assert plan_of(scenario("constant-vus", duration="1s"), target=target).target.tracing == share
    assert plan_of(scenario("constant-vus", duration="1s")).target.tracing is None


def test_a_ca_may_be_a_secret():
    """A certificate authority from a Secret comes by environment."""
    tls = {"ca": {"secretKeyRef": {"name": "ca", "key": "ca.pem"}}}
    test = load_test(scenario("constant-vus", duration="1s"), target={"url": "https://127.0.0.1", "tls": tls})
    plan = compile_plan(test, run="r")
    assert (plan.target.ca_env, plan.target.ca_file) == ("LOADGATE_TLS_CA", None)
    assert list(secret_sources(test)) == ["LOADGATE_TLS_CA"]


def test_secret_names_stay_apart():
    """Names that differ only in what an environment variable can't spell get variables of their own."""
    assert len({secret_env(name) for name in ("a-b", "a_b", "ab", "a.b", "a_2d_b")}) == 5


def test_walking_reaches_every_step():
    """Nested steps of every kind are visited."""
    test = full()
    kinds = [step.kind for _, step in walk(test.spec.scenarios[0].steps)]
    assert kinds.count("request") == 6
    assert len(kinds) == 10


def test_progress_is_the_share_of_the_planned_time():
    """Progress goes from 0 to 1 with the planned time, whatever comes before and after."""
    plan = plan_of(scenario("constant-vus", duration="10s"))
    assert [progress(plan, t) for t in (-1, 0, 5, 10, 40)] == [0, 0, 0.5, 1, 1]
    assert progress(plan.model_copy(update={"duration": 0.0}), 0) == 1.0
