"""What is wrong with a manifest: every mistake once, at its own path, with words to act on."""

import copy

import pytest
from api_manifests import budget, loadtest, put
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgate.api.faults import Fault, InvalidSpec
from loadgate.api.validate import validate_budget, validate_loadtest

JOURNEY = ("spec", "scenarios", 0)
STEPS = (*JOURNEY, "steps")
LOGIN = (*STEPS, 0)
ARRIVALS = ("spec", "scenarios", 1)
STEP = "spec.scenarios[0].steps[0]"
KEY_OF = {"configMapKeyRef": {"name": "a", "key": "b"}}
AWS = {
    "region": "eu-central-1",
    "service": "execute-api",
    "accessKeyId": "AKID",
    "secretAccessKey": "${secret.password}",
}


def faults_of(validate, raw):
    """The faults of a manifest; none where it is valid."""
    try:
        validate(raw)
    except InvalidSpec as error:
        return error.faults
    return []


def test_a_good_manifest_has_no_fault():
    """The manifests that the tests bend are straight to begin with."""
    assert faults_of(validate_loadtest, loadtest()) == []
    assert faults_of(validate_budget, budget()) == []


SHAPES = [
    (
        ("spec", "target", "connection"),
        {"downloadRate": "fast"},
        "spec.target.connection.downloadRate",
        "bytes a second, like 128Ki",
        "",
    ),
    (
        (*LOGIN, "request"),
        {"url": "/x", "file": {"path": "/data/../x"}},
        f"{STEP}.request.file.path",
        "an absolute path",
        "",
    ),
    ((*LOGIN, "request", "query"), {"x": ["a", {}]}, f"{STEP}.request.query.x", "must be a text, a number", ""),
    # (where, what, the fault's path, a part of its message, a part of its hint)
    (("spec", "target"), ..., "spec.target", "is missing", "Where the load goes"),
    (("spec", "target", "proxy"), {"url": "http://u:p@p"}, "spec.target.proxy.url", "without a path, a user", ""),
    (("spec", "target", "proxy"), {"url": "socks5://p"}, "spec.target.proxy.url", "an http or https URL", ""),
    (
        ("spec", "target", "connection"),
        {"unixSocket": "run/../a.sock"},
        "spec.target.connection.unixSocket",
        "an absolute path",
        "",
    ),
    (("spec", "targt"), {}, "spec.targt", "there is no such field", "did you mean 'target'?"),
    (("spec", "engine"), {"k6": {}}, "spec.engine", "there is no such field", "known: budgets"),
    (
        ("spec", "runners", "count"),
        "2",
        "spec.runners.count",
        "must be a whole number, not a text",
        "without quotes: 2",
    ),
    (("spec", "runners", "count"), 2.5, "spec.runners.count", "must be a whole number, not a number", ""),
    (("spec", "runners", "count"), 0, "spec.runners.count", "must be at least 1", ""),
    (("spec", "runners", "count"), 1001, "spec.runners.count", "must be at most 1000", ""),
    (("spec", "runners", "count"), True, "spec.runners.count", "must be a whole number, not true or false", ""),
    (("spec", "runners"), [], "spec.runners", "must be an object, not a list", ""),
    (("spec", "runners", "resources", "limits", "cpu"), 0.5, "spec.runners.resources.limits.cpu", "amount of CPU", ""),
    (("spec", "suspend"), "yes", "spec.suspend", "must be true or false, not a text", ""),
    (("spec", "scenarios"), {}, "spec.scenarios", "must be a list, not an object", ""),
    (("spec", "budgets"), [None], "spec.budgets[0]", "must be an object, not null", ""),
    (("spec", "warmup"), 30, "spec.warmup", "must be a duration with a unit", ""),
    (("spec", "warmup"), "30", "spec.warmup", "must be a duration with a unit", ""),
    (
        ("spec", "target", "timeout"),
        30,
        "spec.target.timeout",
        "must be a duration like 30s, or an object with connect",
        "",
    ),
    (("spec", "target", "timeout"), "30", "spec.target.timeout", "must be a duration with a unit", ""),
    (("spec", "target", "timeout"), {"total": "x"}, "spec.target.timeout.total", "must be a duration", ""),
    (("spec", "target", "timeout"), {"conect": "1s"}, "spec.target.timeout.conect", "no such field", "'connect'"),
    (("spec", "tolerateDoubts"), ["LoopLagg"], "spec.tolerateDoubts[0]", "must be one of RunnerLost", "'LoopLag'"),
    (("metadata", "name"), ..., "metadata.name", "is missing", ""),
    (("metadata", "name"), "Shop", "metadata.name", "lower-case letters", ""),
    (("metadata", "name"), "x" * 254, "metadata.name", "must be at most 253 characters long", ""),
    (("metadata", "name"), "", "metadata.name", "must be at least 1 character long", ""),
    (("metadata", "creationTimestamp"), "x", "metadata.creationTimestamp", "input should be a valid datetime", ""),
    (("apiVersion",), "v1", "apiVersion", "must be one of loadgate.dev/v1alpha1", ""),
    (
        ("spec", "secrets", "1x"),
        {"secretKeyRef": {"name": "a", "key": "b"}},
        'spec.secrets["1x"]',
        "beginning with a letter",
        "",
    ),
    (
        ("spec", "secrets", "password", "secretKeyRef", "key"),
        ...,
        "spec.secrets.password.secretKeyRef.key",
        "is missing",
        "",
    ),
    (
        ("spec", "data", "products", "order"),
        "uniqe",
        "spec.data.products.order",
        "must be one of sequential, random, unique",
        "'unique'",
    ),
    ((*JOURNEY, "stages"), [], "spec.scenarios[0].stages", "must have at least 1 entry", ""),
    ((*JOURNEY, "stages", 0, "target"), -1, "spec.scenarios[0].stages[0].target", "must be at least 0", ""),
    ((*JOURNEY, "stages", 0, "duration"), 5, "spec.scenarios[0].stages[0].duration", "must be a duration", ""),
    (
        (*JOURNEY, "stages", 0, "duration"),
        ...,
        "spec.scenarios[0].stages[0].duration",
        "is missing",
        "How long the ramp takes",
    ),
    ((*JOURNEY, "rate"), 5, "spec.scenarios[0].rate", "there is no such field", ""),
    ((*JOURNEY, "start_vus"), 5, "spec.scenarios[0].start_vus", "there is no such field", "did you mean 'startVUs'?"),
    ((*JOURNEY, "executor"), "ramping", "spec.scenarios[0].executor", "must be one of shared-iterations", ""),
    (
        (*JOURNEY, "executor"),
        "ramping-vu",
        "spec.scenarios[0].executor",
        "must be one of",
        "did you mean 'ramping-vus'?",
    ),
    ((*JOURNEY, "executor"), 5, "spec.scenarios[0].executor", "must be one of shared-iterations", ""),
    ((*JOURNEY, "executor"), ..., "spec.scenarios[0].executor", "is missing", "one of shared-iterations"),
    ((*JOURNEY, "name"), "User journey", "spec.scenarios[0].name", "must be lower-case letters", ""),
    (
        (*ARRIVALS, "preAllocatedVUs"),
        ...,
        "spec.scenarios[1].preAllocatedVUs",
        "is missing",
        "How many VUs stand ready",
    ),
    ((*ARRIVALS, "duration"), ..., "spec.scenarios[1].duration", "is missing", ""),
    ((*STEPS, 1), {"thnk": "1s"}, "spec.scenarios[0].steps[1].thnk", "there is no such field", "did you mean 'think'?"),
    ((*STEPS, 1, "think"), 1, "spec.scenarios[0].steps[1].think", "must be a duration, like 1s, or a range", ""),
    ((*LOGIN, "request", "method"), "post", f"{STEP}.request.method", "must be one of GET", ""),
    ((*LOGIN, "request", "method"), "POTS", f"{STEP}.request.method", "must be one of GET", "did you mean 'POST'?"),
    (
        (*LOGIN, "request", "headers"),
        {"x": 5},
        f"{STEP}.request.headers.x",
        "must be a text, not a number",
        'quotes: "5"',
    ),
    ((*LOGIN, "request", "headers"), {"x": True}, f"{STEP}.request.headers.x", "not true or false", 'quotes: "true"'),
    (
        (*LOGIN, "request", "query"),
        {"x": {}},
        f"{STEP}.request.query.x",
        "must be a text, a number, true, false, or a list",
        "",
    ),
    ((*LOGIN, "request", "query"), {"x": "y" * 8193}, f"{STEP}.request.query.x", "at most 8192 characters", ""),
    ((*LOGIN, "check", "status"), True, f"{STEP}.check.status", "must be a status", ""),
    ((*LOGIN, "check", "body"), [], f"{STEP}.check.body", "must be a text, a number, true, false or null", ""),
    ((*LOGIN, "extract", "a-b"), {"json": "$.a"}, f"{STEP}.extract.a-b", "letters, digits and `_`", ""),
    ((*STEPS, 3, "while", "max"), ..., "spec.scenarios[0].steps[3].while.max", "is missing", "a loop without a bound"),
    (
        (*STEPS, 3, "while", "is"),
        None,
        "spec.scenarios[0].steps[3].while.is",
        "must be a text, a number, true or false",
        "",
    ),
    ((*STEPS, 6, "repeat", "times"), 2_000_000, "spec.scenarios[0].steps[6].repeat.times", "at most 1000000", ""),
    (("spec", "thresholds", "checks"), "rate>0", "spec.thresholds.checks", "must be a list, not a text", ""),
    (
        ("spec", "thresholds", "checks"),
        [5],
        "spec.thresholds.checks[0]",
        "must be a limit like p(95)<500, or an object",
        "",
    ),
    (("spec", "thresholds", "checks"), [{}], "spec.thresholds.checks[0].threshold", "is missing", "The limit"),
    (
        ("spec", "thresholds", "checks"),
        [{"threshold": "rate>0", "abort": True}],
        "spec.thresholds.checks[0].abort",
        "no such field",
        "abortOnFail",
    ),
]

MEANINGS = [
    (
        STEPS,
        [{"sse": {"url": "/x", "for": "1s"}, "check": {"trailers": {"x": "1"}}}],
        f"{STEP}.check.trailers",
        "only an answer to a request has trailers",
        "",
    ),
    (
        STEPS,
        [{"websocket": {"url": "/x"}, "extract": {"a": {"trailer": "x"}}}],
        f"{STEP}.extract.a.trailer",
        "only an answer to a request has trailers",
        "",
    ),
    (
        (*LOGIN, "extract", "token"),
        {"trailer": "x", "header": "y"},
        f"{STEP}.extract.token",
        "has header and trailer",
        "",
    ),
    (
        ("spec", "target", "connection"),
        {"uploadRate": "500m"},
        "spec.target.connection.uploadRate",
        "must be at least 1 byte a second",
        "128Ki",
    ),
    (
        ("spec", "target", "connection"),
        {"downloadRate": 0},
        "spec.target.connection.downloadRate",
        "must be at least 1 byte a second",
        "",
    ),
    ((*LOGIN, "request"), {"url": "/x", "file": {}}, f"{STEP}.request.file", "needs one of configMapKeyRef, path", ""),
    (
        (*LOGIN, "request"),
        {"url": "/x", "file": {"path": "/a", "configMapKeyRef": {"name": "a", "key": "b"}}},
        f"{STEP}.request.file",
        "has configMapKeyRef and path",
        "",
    ),
    (
        (*LOGIN, "request"),
        {"url": "/x", "multipart": [{"name": "a", "file": {}}]},
        f"{STEP}.request.multipart[0].file",
        "needs one of configMapKeyRef, path",
        "",
    ),
    (
        (*LOGIN, "request"),
        {"url": "/x", "expectContinue": "1s"},
        f"{STEP}.request.expectContinue",
        "holds a body back, and there is none",
        "json, form, multipart, text, file",
    ),
    (
        (*LOGIN, "request"),
        {"url": "/x", "text": "a", "expectContinue": "0s"},
        f"{STEP}.request.expectContinue",
        "must be more than 0s",
        "1s",
    ),
    (
        (*LOGIN, "request"),
        {"url": "/x", "text": "a", "expectContinue": "1s", "headers": {"expect": "100-continue"}},
        f"{STEP}.request.headers.expect",
        "is what expectContinue sends",
        "keep one",
    ),
    (("spec", "target", "url"), "ftp://shop", "spec.target.url", "must be an http or https URL", ""),
    (("spec", "target", "url"), "http://", "spec.target.url", "must be an http or https URL", ""),
    (("spec", "target", "url"), "http://shop:99999", "spec.target.url", "is not a URL", ""),
    (("spec", "target", "url"), "http://:80", "spec.target.url", "is not a URL", ""),
    (("spec", "target", "url"), "http://[::1", "spec.target.url", "is not a URL", ""),
    (("spec", "target", "url"), "http://me:pw@shop", "spec.target.url", "must not hold a user", "auth"),
    (("spec", "target", "url"), "http://shop?a=b", "spec.target.url", "must not have a query", ""),
    (("spec", "target", "host"), "a\r\nb: c", "spec.target.host", "must not hold line ends", ""),
    (("spec", "target", "host"), "${vu.id}", "spec.target.host", "must not hold ${…}", ""),
    (
        ("spec", "target", "headers"),
        {"bad name": "x"},
        'spec.target.headers["bad name"]',
        "can't be a header's name",
        "",
    ),
    (("spec", "target", "headers"), {"x": "a\nb"}, "spec.target.headers.x", "must not hold line ends", ""),
    (
        ("spec", "target", "headers"),
        {"x": "${token}"},
        "spec.target.headers.x",
        "nothing before this gives 'token'",
        "",
    ),
    (
        ("spec", "target", "tls"),
        {"cert": {"secretKeyRef": {"name": "a", "key": "b"}}},
        "spec.target.tls",
        "has cert without key",
        "",
    ),
    (
        ("spec", "target", "tls"),
        {"key": {"secretKeyRef": {"name": "a", "key": "b"}}},
        "spec.target.tls",
        "has key without cert",
        "",
    ),
    (
        ("spec", "target", "proxy"),
        {"url": "http://p:70000"},
        "spec.target.proxy.url",
        "is not a URL: Port out of range",
        "",
    ),
    (
        ("spec", "target", "proxy"),
        {"url": "http://p", "noProxy": ["ok", "10.0.0.1/8"]},
        "spec.target.proxy.noProxy[1]",
        "is no network without host bits",
        "write a name",
    ),
    (
        ("spec", "target", "proxy"),
        {"url": "http://p", "noProxy": ["*"]},
        "spec.target.proxy.noProxy[0]",
        "'*' is no host",
        "write a name",
    ),
    (
        ("spec", "target", "proxy"),
        {"url": "https://p", "ca": {}},
        "spec.target.proxy.ca",
        "needs one of configMapKeyRef, secretKeyRef",
        "",
    ),
    (
        ("spec", "target", "proxy"),
        {"url": "http://p", "ca": {"configMapKeyRef": {"name": "a", "key": "b"}}},
        "spec.target.proxy.ca",
        "is for a proxy that speaks TLS",
        "https://",
    ),
    (
        ("spec", "target", "tracing"),
        {"sample": 0},
        "spec.target.tracing.sample",
        "must be more than 0",
        "leave `tracing`",
    ),
    (("spec", "target", "tracing"), {"sample": "0%"}, "spec.target.tracing.sample", "must be more than 0", ""),
    (("spec", "target", "tracing"), {"sample": "2"}, "spec.target.tracing.sample", "must be a ratio", ""),
    (
        ("spec", "target", "connection"),
        {"unixSocket": "/run/a.sock", "sourceAddresses": ["127.0.0.1"]},
        "spec.target.connection",
        "has unixSocket and sourceAddresses",
        "keep one of",
    ),
    (
        ("spec", "target", "connection"),
        {"sourceAddresses": ["10.0.0.1", "10.0.0.0/8"]},
        "spec.target.connection.sourceAddresses[1]",
        "has 16777216 addresses",
        "10.1.2.0/28",
    ),
    (
        ("spec", "target", "connection"),
        {"sourceAddresses": ["10.0.0.1/24"]},
        "spec.target.connection.sourceAddresses[0]",
        "is no address and no network",
        "10.1.2.0/28",
    ),
    (
        ("spec", "target", "connection"),
        {"sourceAddresses": ["224.0.0.1"]},
        "spec.target.connection.sourceAddresses[0]",
        "nothing that connections come from",
        "",
    ),
    (
        ("spec", "target"),
        {"url": "http://a", "proxy": {"url": "http://p"}, "connection": {"unixSocket": "/run/a.sock"}},
        "spec.target.connection.unixSocket",
        "can't be reached by a proxy",
        "keep one of",
    ),
    (("spec", "target", "auth"), {}, "spec.target.auth", "needs one of oauth2, awsSigV4, digest", ""),
    (
        ("spec", "target", "auth"),
        {
            "awsSigV4": AWS,
            "oauth2": {"tokenUrl": "http://idp/t", "clientId": "a", "clientSecret": "${secret.password}"},
        },
        "spec.target.auth",
        "has oauth2 and awsSigV4",
        "keep one of",
    ),
    (
        ("spec", "target", "auth"),
        {"awsSigV4": {**AWS, "secretAccessKey": "hush"}},
        "spec.target.auth.awsSigV4.secretAccessKey",
        "must not be written out",
        "${secret.NAME}",
    ),
    (
        ("spec", "target", "auth"),
        {"awsSigV4": {**AWS, "sessionToken": "hush"}},
        "spec.target.auth.awsSigV4.sessionToken",
        "must not be written out",
        "${secret.NAME}",
    ),
    (
        ("spec", "target", "auth"),
        {"awsSigV4": {**AWS, "accessKeyId": "${vu.id}"}},
        "spec.target.auth.awsSigV4.accessKeyId",
        "may hold ${secret.NAME} only",
        "",
    ),
    (
        ("spec", "target", "auth"),
        {"awsSigV4": {**AWS, "region": "EU Central"}},
        "spec.target.auth.awsSigV4.region",
        "must be lower-case letters",
        "",
    ),
    (
        ("spec", "target", "auth"),
        {"digest": {"username": "a", "password": "hush"}},
        "spec.target.auth.digest.password",
        "must not be written out",
        "${secret.NAME}",
    ),
    (
        ("spec", "target", "auth"),
        {"digest": {"username": "a:b", "password": "${secret.password}"}},
        "spec.target.auth.digest.username",
        "must not hold a colon",
        "",
    ),
    (
        ("spec", "target", "auth"),
        {"digest": {"username": "${vu.id}", "password": "${secret.password}"}},
        "spec.target.auth.digest.username",
        "may hold ${secret.NAME} only",
        "",
    ),
    (
        ("spec", "target", "auth"),
        {"awsSigV4": {**AWS, "payload": "unsigned"}},
        "spec.target.auth.awsSigV4.payload",
        "'execute-api' wants bodies to be signed",
        "payload: signed",
    ),
    (
        ("spec", "target", "auth"),
        {"oauth2": {"tokenUrl": "http://idp/t", "clientId": "a"}},
        "spec.target.auth.oauth2",
        "needs a clientSecret",
        "${secret.NAME}",
    ),
    (
        ("spec", "target", "auth"),
        {"oauth2": {"tokenUrl": "http://idp/t", "clientId": "a", "clientSecret": "hush"}},
        "spec.target.auth.oauth2.clientSecret",
        "must not be written out",
        "spec.secrets",
    ),
    (
        ("spec", "target", "auth"),
        {"oauth2": {"tokenUrl": "http://idp/t", "clientId": "a", "clientSecret": "${secret.nobody}"}},
        "spec.target.auth.oauth2.clientSecret",
        "declares no 'nobody'",
        "",
    ),
    (
        ("spec", "target", "auth"),
        {
            "oauth2": {
                "tokenUrl": "http://idp/t",
                "clientId": "a",
                "clientSecret": "${secret.password}",
                "audience": "${vu.id}",
            }
        },
        "spec.target.auth.oauth2.audience",
        "may hold ${secret.NAME} only",
        "",
    ),
    (
        ("spec", "target", "auth"),
        {"oauth2": {"tokenUrl": "http://idp/t", "clientId": "a", "grant": "refresh_token"}},
        "spec.target.auth.oauth2",
        "needs a refreshToken",
        "",
    ),
    (
        ("spec", "target", "auth"),
        {
            "oauth2": {
                "tokenUrl": "http://idp/t",
                "clientId": "a",
                "clientSecret": "${secret.password}",
                "refreshToken": "${secret.password}",
            }
        },
        "spec.target.auth.oauth2.refreshToken",
        "goes with grant: refresh_token only",
        "",
    ),
    (
        ("spec", "target", "auth"),
        {"oauth2": {"tokenUrl": "http://me:pw@idp", "clientId": "a", "clientSecret": "${secret.password}"}},
        "spec.target.auth.oauth2.tokenUrl",
        "must not hold a user",
        "",
    ),
    (
        ("spec", "target", "auth"),
        {"oauth2": {"tokenUrl": "http://idp/#x", "clientId": "a", "clientSecret": "${secret.password}"}},
        "spec.target.auth.oauth2.tokenUrl",
        "must not have a fragment",
        "",
    ),
    (
        ("spec", "target", "auth"),
        {
            "oauth2": {
                "tokenUrl": "http://idp/t",
                "clientId": "a",
                "clientSecret": "${secret.password}",
                "scopes": ["a b"],
            }
        },
        "spec.target.auth.oauth2.scopes[0]",
        "must be printable characters without spaces",
        "",
    ),
    (("spec", "target", "tls"), {"ca": {}}, "spec.target.tls.ca", "needs one of configMapKeyRef, secretKeyRef", ""),
    (("spec", "target", "protocol"), "h2", "spec.target.protocol", "must be one of HTTP/1.1, HTTP/2, auto", ""),
    (
        ("spec", "target", "connection"),
        {"share": 2},
        "spec.target.connection.share",
        "needs `protocol: HTTP/2`",
        "one request at a time",
    ),
    (
        ("spec", "target"),
        {"url": "http://shop", "protocol": "auto", "connection": {"maxConnections": 8}},
        "spec.target.connection.maxConnections",
        "needs `protocol: HTTP/1.1`",
        "`share` says how many users a connection has",
    ),
    (
        ("spec", "target", "connection"),
        {"maxConnections": 8, "reuse": "never"},
        "spec.target.connection.maxConnections",
        "can't go with `reuse: never`",
        "leave reuse out",
    ),
    (
        ("spec", "target", "connection"),
        {"maxConnections": 0},
        "spec.target.connection.maxConnections",
        "must be at least 1",
        "",
    ),
    (
        ("spec", "secrets", "PASSWORD"),
        {"secretKeyRef": {"name": "a", "key": "b"}},
        "spec.secrets.PASSWORD",
        "can't be told from 'password'",
        "",
    ),
    (("spec", "data", "users"), {"inline": []}, "spec.data.users.inline", "has no rows", ""),
    (("spec", "data", "users"), {"inline": [], "order": "unique"}, "spec.data.users.inline", "has no rows", ""),
    (("spec", "data", "users"), {}, "spec.data.users", "needs one of inline, csv, json", ""),
    (
        ("spec", "data", "users"),
        {"inline": [{"a": 1}, {"b": 1}]},
        "spec.data.users.inline[1]",
        "has other columns",
        "columns: a",
    ),
    (("spec", "warmup"), "90s", "spec.warmup", "lasts as long as the load", "90s"),
    (("spec", "deadline"), "1m", "spec.deadline", "is over before the load is", ""),
    (("spec", "deadline"), "0s", "spec.deadline", "is over before the load is", ""),
    ((*JOURNEY, "name"), "arrivals", "spec.scenarios[1].name", "another scenario is called 'arrivals'", ""),
    ((*JOURNEY, "steps"), ..., "spec.scenarios[0]", "needs one of steps, script", ""),
    (
        (*ARRIVALS, "script"),
        {"configMapKeyRef": {"name": "a", "key": "b"}},
        "spec.scenarios[1]",
        "has steps and script",
        "",
    ),
    ((*JOURNEY, "stages"), [{"duration": "0s", "target": 5}], "spec.scenarios[0].stages", "take no time at all", ""),
    ((*JOURNEY, "tags"), {"name": "x"}, "spec.scenarios[0].tags.name", "loadgate sets the tag 'name' itself", ""),
    ((*JOURNEY, "tags"), {"user": "${vu.id}"}, "spec.scenarios[0].tags.user", "must not hold ${…}", ""),
    ((*ARRIVALS, "maxVUs"), 4, "spec.scenarios[1].maxVUs", "must be at least preAllocatedVUs, which is 5", ""),
    ((*ARRIVALS, "duration"), "0s", "spec.scenarios[1].duration", "must be more than 0s", ""),
    ((*ARRIVALS, "timeUnit"), "0s", "spec.scenarios[1].timeUnit", "must be more than 0s", ""),
    ((*STEPS, 1), {}, "spec.scenarios[0].steps[1]", "needs one of request, graphql, sse, websocket, grpc", ""),
    (
        (*STEPS, 1, "repeat"),
        {"times": 1, "steps": [{"think": "1s"}]},
        "spec.scenarios[0].steps[1]",
        "has think and repeat",
        "",
    ),
    ((*STEPS, 1, "think"), "3s..1s", "spec.scenarios[0].steps[1].think", "ends before it begins", "1s..3s"),
    ((*STEPS, 1, "think"), "soon", "spec.scenarios[0].steps[1].think", "is not a duration", ""),
    ((*STEPS, 1, "check"), {"status": 200}, "spec.scenarios[0].steps[1].check", "goes with a request only", ""),
    (
        (*STEPS, 1, "extract"),
        {"a": {"json": "$.a"}},
        "spec.scenarios[0].steps[1].extract",
        "goes with a request only",
        "",
    ),
    (
        (*STEPS, 1),
        {"graphql": {"url": "/g", "query": "{ a(x: ${vu.id}) }"}},
        "spec.scenarios[0].steps[1].graphql.query",
        "must not hold ${…}",
        "under `variables`",
    ),
    ((*STEPS, 1), {"graphql": {"url": "/g"}}, "spec.scenarios[0].steps[1].graphql", "needs one of query, file", ""),
    (
        (*STEPS, 1),
        {"graphql": {"url": "g", "query": "{ a }"}},
        "spec.scenarios[0].steps[1].graphql.url",
        "must be a path that begins with `/`",
        "/g",
    ),
    (
        (*STEPS, 1),
        {"graphql": {"url": "/g", "query": "{ a }", "variables": {"a": ["${nobody}"]}}},
        "spec.scenarios[0].steps[1].graphql.variables.a[0]",
        "nothing before this gives 'nobody' a value",
        "",
    ),
    (
        (*STEPS, 1),
        {"graphql": {"url": "/g", "query": "{ a }", "errors": "ignore"}},
        "spec.scenarios[0].steps[1].graphql.errors",
        "must be one of fail, allow",
        "",
    ),
    ((*STEPS, 1), {"sse": {"url": "/s"}}, "spec.scenarios[0].steps[1].sse", "needs until, for, or both", ""),
    (
        (*STEPS, 1),
        {"sse": {"url": "/s", "for": "0s"}},
        "spec.scenarios[0].steps[1].sse.for",
        "must be more than 0s",
        "",
    ),
    (
        (*STEPS, 1),
        {"sse": {"url": "/s", "until": {"data": "~("}}},
        "spec.scenarios[0].steps[1].sse.until.data",
        "",
        "",
    ),
    (
        (*STEPS, 1),
        {"sse": {"url": "/s", "until": {"json": {"$.[": 1}}}},
        'spec.scenarios[0].steps[1].sse.until.json["$.["]',
        "",
        "",
    ),
    (
        (*STEPS, 1),
        {"sse": {"url": "/s", "for": "1s", "query": {"a": "${nobody}"}}},
        "spec.scenarios[0].steps[1].sse.query.a",
        "nothing before this gives 'nobody' a value",
        "",
    ),
    (
        (*STEPS, 1),
        {"websocket": {"url": "/w", "steps": [{}]}},
        "spec.scenarios[0].steps[1].websocket.steps[0]",
        "needs one of send, sendJson",
        "",
    ),
    (
        (*STEPS, 1),
        {"websocket": {"url": "/w", "steps": [{"send": "a", "think": "1s"}]}},
        "spec.scenarios[0].steps[1].websocket.steps[0]",
        "has send and think",
        "",
    ),
    (
        (*STEPS, 1),
        {"websocket": {"url": "/w", "steps": [{"send": "${nobody}"}]}},
        "spec.scenarios[0].steps[1].websocket.steps[0].send",
        "gives 'nobody' a value",
        "",
    ),
    (
        (*STEPS, 1),
        {"websocket": {"url": "/w", "steps": [{"sendBase64": "ü"}]}},
        "spec.scenarios[0].steps[1].websocket.steps[0].sendBase64",
        "",
        "",
    ),
    (
        (*STEPS, 1),
        {"websocket": {"url": "/w", "steps": [{"think": "2s..1s"}]}},
        "spec.scenarios[0].steps[1].websocket.steps[0].think",
        "ends before it begins",
        "",
    ),
    (
        (*STEPS, 1),
        {"websocket": {"url": "/w", "steps": [{"expect": {"text": "~("}}]}},
        "spec.scenarios[0].steps[1].websocket.steps[0].expect.text",
        "",
        "",
    ),
    (
        (*STEPS, 1),
        {"websocket": {"url": "/w", "steps": [{"expect": {"extract": {"a": {"header": "x"}}}}]}},
        "spec.scenarios[0].steps[1].websocket.steps[0].expect.extract.a",
        "takes what a message hasn't",
        "",
    ),
    (
        (*STEPS, 1),
        {"websocket": {"url": "/w", "close": 1006}},
        "spec.scenarios[0].steps[1].websocket.close",
        "is not a code that a client may close with",
        "",
    ),
    (
        (*STEPS, 1),
        {"websocket": {"url": "/w", "subprotocols": ["a b"]}},
        "spec.scenarios[0].steps[1].websocket.subprotocols[0]",
        "",
        "",
    ),
    ((*STEPS, 1), {"websocket": {"url": "mqtt://x/"}}, "spec.scenarios[0].steps[1].websocket.url", "is not spoken", ""),
    ((*LOGIN, "request", "url"), "ws://x/", f"{STEP}.request.url", "the scheme 'ws' is not spoken", ""),
    ((*LOGIN, "request", "text"), "x", f"{STEP}.request", "has json and text", "keep one of json"),
    ((*LOGIN, "request", "url"), "login", f"{STEP}.request.url", "must be a path that begins with `/`", "/login"),
    ((*LOGIN, "request", "url"), "//login", f"{STEP}.request.url", "must be a path that begins with `/`", "/login"),
    ((*LOGIN, "request", "url"), "/a b", f"{STEP}.request.url", "must not hold spaces", "%20"),
    *(
        (
            (*STEPS, 1),
            {"grpc": {"method": "a.B/C", **call}, **more},
            f"spec.scenarios[0].steps[1].{path}",
            message,
            hint,
        )
        for call, more, path, message, hint in [
            ({"method": "B.C"}, {}, "grpc.method", "must be a service and its method", ""),
            (
                {"protoset": {"configMapKeyRef": {"name": "a", "key": "shop.proto"}}},
                {},
                "grpc.protoset.configMapKeyRef.key",
                "is what a protoset is made of, not one",
                "give it under protos, or what `protoc --include_imports -o FILE.binpb FILE.proto` makes of it",
            ),
            (
                {"protoset": KEY_OF, "protos": {"a.proto": KEY_OF}},
                {},
                "grpc",
                "has protoset and protos",
                "keep one of protoset, protos",
            ),
            ({"protos": {}}, {}, "grpc.protos", "must have at least 1", ""),
            ({"protos": {f"{n}.proto": KEY_OF for n in range(65)}}, {}, "grpc.protos", "must have at most 64", ""),
            ({"protos": {"a.proto": {}}}, {}, 'grpc.protos["a.proto"].configMapKeyRef', "is missing", ""),
            *(
                ({"protos": {path: KEY_OF}}, {}, f'grpc.protos["{path}"]', "must stand under a path as files", "")
                for path in [
                    "/a.proto",
                    "../a.proto",
                    "a/../b.proto",
                    "./a.proto",
                    "a//b.proto",
                    "a.binpb",
                    ".proto",
                    "a/.proto",
                    "a b.proto",
                    "-o.proto",
                    "a=b.proto",
                    "a:b.proto",
                    "a.proto/",
                    "a.proto ",
                ]
            ),
            ({"protos": {"a/" * 126 + ".proto": KEY_OF}}, {}, f'grpc.protos["{"a/" * 126}.proto"]', "", ""),
            ({"url": "/x"}, {}, "grpc.url", "must be a gRPC server's URL", "http://HOST:PORT"),
            ({"url": "http://a/b"}, {}, "grpc.url", "without a path", ""),
            ({"url": "http://${vu.id}"}, {}, "grpc.url", "must not hold ${", ""),
            ({"url": "http://u:p@x"}, {}, "grpc.url", "must not hold a user", ""),
            ({"metadata": {"grpc-timeout": "1S"}}, {}, "grpc.metadata.grpc-timeout", "is gRPC's own to send", ""),
            ({"metadata": {"User-Agent": "me"}}, {}, "grpc.metadata.User-Agent", "is gRPC's own to send", ""),
            ({"metadata": {"a!": "b"}}, {}, 'grpc.metadata["a!"]', "can't be a name in metadata", ""),
            ({"metadata": {"a": "b\nc"}}, {}, "grpc.metadata.a", "must not hold line ends", ""),
            ({"metadata": {"a": "${nobody}"}}, {}, "grpc.metadata.a", "nothing before this gives 'nobody' a value", ""),
            ({"headers": {}}, {}, "grpc.headers", "there is no such field", ""),
            ({"message": {"a": "${nobody}"}}, {}, "grpc.message.a", "nothing before this gives 'nobody' a value", ""),
            ({"messages": [{"a": "${"}]}, {}, "grpc.messages[0].a", "", ""),
            ({"messages": []}, {}, "grpc.messages", "must have at least 1", ""),
            ({"message": {}, "messages": [{}]}, {}, "grpc", "has message and messages", "keep one"),
            ({"times": 2}, {}, "grpc.times", "goes with messages only", ""),
            ({"every": "1s"}, {}, "grpc.every", "goes with messages only", ""),
            ({"for": "0s"}, {}, "grpc.for", "must be more than 0s", ""),
            ({"until": {"json": {"$[": 1}}}, {}, 'grpc.until.json["$["]', "", ""),
            ({}, {"check": {"status": 200}}, "check.status", "a gRPC call's status is a name", "status: OK"),
            ({}, {"check": {"status": ["OK", "2xx"]}}, "check.status", "a gRPC call's status is a name", ""),
            ({}, {"check": {"status": "not_found"}}, "check.status", "is no status", "did you mean 'NOT_FOUND'?"),
            ({}, {"check": {"cookies": {"a": "b"}}}, "check.cookies", "a gRPC call has no cookies", ""),
            ({}, {"extract": {"a": {"cookie": "b"}}}, "extract.a.cookie", "a gRPC call has no cookies", ""),
        ]
    ),
    ((*LOGIN, "request", "url"), "gopher://x", f"{STEP}.request.url", "the scheme 'gopher' is not spoken", "http"),
    ((*LOGIN, "request", "url"), "http://u:p@x/", f"{STEP}.request.url", "must not hold a user", ""),
    ((*LOGIN, "request", "url"), "/${vu.id", f"{STEP}.request.url", "isn't closed", ""),
    (
        (*LOGIN, "request", "json"),
        {"a": [{"${vu.id}": 1}]},
        f'{STEP}.request.json.a[0]["${{vu.id}}"]',
        "must not hold ${…}",
        "values may",
    ),
    (
        (*LOGIN, "request", "query"),
        {"a${vu.id}": "1"},
        f'{STEP}.request.query["a${{vu.id}}"]',
        "must not hold ${…}",
        "values may",
    ),
    ((*LOGIN, "request", "host"), "a\nb", f"{STEP}.request.host", "must not hold line ends", ""),
    ((*LOGIN, "request", "host"), "${vu.id}.x", f"{STEP}.request.host", "must not hold ${…}", "the same each time"),
    ((*LOGIN, "request", "headers"), {"Host": "${vu.id}"}, f"{STEP}.request.headers.Host", "must not hold ${…}", ""),
    ((*LOGIN, "request", "headers"), {"a:": "x"}, f'{STEP}.request.headers["a:"]', "can't be a header's name", ""),
    ((*LOGIN, "request", "headers"), {"a": "x\r"}, f"{STEP}.request.headers.a", "must not hold line ends", ""),
    ((*LOGIN, "request", "tags"), {"status": "x"}, f"{STEP}.request.tags.status", "loadgate sets the tag", ""),
    ((*LOGIN, "request", "auth"), {}, f"{STEP}.request.auth", "needs one of basic, bearer", ""),
    ((*LOGIN, "check"), {}, f"{STEP}.check", "checks nothing", ""),
    ((*LOGIN, "check", "status"), "2x", f"{STEP}.check.status", "is no status", ""),
    ((*LOGIN, "check", "status"), [200, "9"], f"{STEP}.check.status", "is no status", ""),
    ((*LOGIN, "check", "duration"), "500", f"{STEP}.check.duration", "compares no duration", ""),
    ((*LOGIN, "check", "size"), "<x", f"{STEP}.check.size", "is not a size", ""),
    ((*LOGIN, "check", "body"), "~(", f"{STEP}.check.body", "doesn't compile", "RE2"),
    ((*LOGIN, "check", "headers"), {"x": "<x"}, f"{STEP}.check.headers.x", "is no number", ""),
    ((*LOGIN, "check", "cookies"), {"x": "~["}, f"{STEP}.check.cookies.x", "doesn't compile", ""),
    ((*LOGIN, "check", "json"), {"$.[": 1}, f'{STEP}.check.json["$.["]', "the JSONPath doesn't parse", ""),
    (
        (*LOGIN, "check", "json"),
        {"$.a": "${tokn}"},
        f'{STEP}.check.json["$.a"]',
        "nothing before this gives 'tokn'",
        "",
    ),
    ((*LOGIN, "extract", "token"), {"json": "$.a", "header": "b"}, f"{STEP}.extract.token", "has json and header", ""),
    (
        (*LOGIN, "extract", "token"),
        {},
        f"{STEP}.extract.token",
        "needs one of json, header, trailer, regex, cookie",
        "",
    ),
    ((*LOGIN, "extract", "token"), {"json": "x"}, f"{STEP}.extract.token.json", "the JSONPath doesn't parse", ""),
    ((*LOGIN, "extract", "token"), {"regex": "(a"}, f"{STEP}.extract.token.regex", "doesn't compile", ""),
    ((*LOGIN, "extract", "token"), {"regex": "(?=a)"}, f"{STEP}.extract.token.regex", "doesn't compile", "RE2"),
    (
        (*LOGIN, "extract", "token"),
        {"regex": "a", "group": 1},
        f"{STEP}.extract.token.regex",
        "has 0 groups, not 1",
        "",
    ),
    (
        (*LOGIN, "extract", "token"),
        {"cookie": "a", "pick": "all"},
        f"{STEP}.extract.token.pick",
        "goes with json, regex, header and trailer",
        "",
    ),
    (
        (*LOGIN, "extract", "token"),
        {"json": "$.a", "group": 1},
        f"{STEP}.extract.token.group",
        "goes with regex only",
        "",
    ),
    (
        (*LOGIN, "extract", "token"),
        {"json": "$.a", "default": "${x}"},
        f"{STEP}.extract.token.default",
        "must not hold ${…}",
        "",
    ),
    ((*LOGIN, "extract", "vu"), {"json": "$.a"}, f"{STEP}.extract.vu", "'vu' is a name of its own", ""),
    ((*STEPS, 2, "group", "name"), "${vu.id}", "spec.scenarios[0].steps[2].group.name", "must not hold ${…}", ""),
    ((*STEPS, 3, "while", "is"), "~(", "spec.scenarios[0].steps[3].while.is", "doesn't compile", ""),
    (
        ("spec", "thresholds", "http_reqz"),
        ["count>1"],
        "spec.thresholds.http_reqz",
        "there is no metric 'http_reqz'",
        "'http_reqs'",
    ),
    (("spec", "thresholds", "http_reqs{"), ["count>1"], 'spec.thresholds["http_reqs{"]', "names no metric", ""),
    (("spec", "thresholds", "checks"), ["rate>>1"], "spec.thresholds.checks[0]", "is no threshold", "p(95)<500"),
    (
        ("spec", "thresholds", "checks"),
        [{"threshold": "rat>1"}],
        "spec.thresholds.checks[0].threshold",
        "no aggregate",
        "'rate'",
    ),
    (
        ("spec", "thresholds", "checks"),
        ["p(95)<1"],
        "spec.thresholds.checks[0]",
        "p(N) says nothing about checks, a rate",
        "use rate",
    ),
    (
        ("spec", "thresholds", "http_req_duration"),
        ["rate<1"],
        "spec.thresholds.http_req_duration[0]",
        "says nothing about",
        "p(N)",
    ),
    (
        ("spec", "thresholds", "http_reqs{scenario:x}"),
        ["count>1"],
        'spec.thresholds["http_reqs{scenario:x}"]',
        "no scenario is called 'x'",
        "",
    ),
    (
        ("spec", "thresholds", "http_reqs{name:logn}"),
        ["count>1"],
        'spec.thresholds["http_reqs{name:logn}"]',
        "no request is called 'logn'",
        "'login'",
    ),
    (
        ("spec", "thresholds", "http_reqs{aria:x}"),
        ["count>1"],
        'spec.thresholds["http_reqs{aria:x}"]',
        "no sample has the tag 'aria'",
        "'area'",
    ),
    (
        ("spec", "thresholds", "iterations{status:200}"),
        ["count>1"],
        'spec.thresholds["iterations{status:200}"]',
        "no sample has the tag",
        "",
    ),
    (
        ("spec", "thresholds", "vus{area:x}"),
        ["value>1"],
        'spec.thresholds["vus{area:x}"]',
        "vus has no tags",
        "write vus",
    ),
]

BUDGETS = [
    (("spec",), {}, "spec", "asks for nothing", "responseTime"),
    (("spec", "responseTime"), {"a": {"p96": "1s"}}, "spec.responseTime.a.p96", "must be one of p50", ""),
    (("spec", "responseTime"), {"a": {}}, "spec.responseTime.a", "must have at least 1 entry", ""),
    (("spec", "throughput"), {"a": {"min": 0}}, "spec.throughput.a.min", "must be more than 0", ""),
    (
        ("spec", "throughput"),
        {"a": {"min": "5"}},
        "spec.throughput.a.min",
        "must be a number, not a text",
        "without quotes: 5",
    ),
    (("spec", "errorRate"), {"a": {"max": "110%"}}, "spec.errorRate.a.max", "must be a ratio between 0 and 1", ""),
    (("spec", "metrics"), {"m": ["p95<1"]}, "spec.metrics.m[0]", "is no threshold", ""),
    (("spec", "metrics"), {"checks": ["p(5)<1"]}, "spec.metrics.checks[0]", "says nothing about checks", ""),
    (("spec", "metrics"), {"a b": ["p(5)<1"]}, 'spec.metrics["a b"]', "names no metric", ""),
    (("spec", "enforcement"), "warn", "spec.enforcement", "must be one of Fail, Warn", "'Warn'"),
    (("spec", "resources"), {}, "spec.resources", "there is no such field", ""),
    (
        ("spec", "selector", "matchExpressions"),
        [{"key": "a", "operator": "In"}],
        "spec.selector.matchExpressions[0]",
        "In and NotIn need values",
        "",
    ),
    (
        ("spec", "selector", "matchExpressions"),
        [{"key": "a", "operator": "Exists", "values": ["b"]}],
        "spec.selector.matchExpressions[0]",
        "In and NotIn need values",
        "",
    ),
]


def check_case(validate, raw, case):
    """Put what is wrong into the manifest, and expect its fault alone."""
    where, what, path, message, hint = case
    put(raw, where, what)
    faults = faults_of(validate, raw)
    assert [fault.path for fault in faults] == [path], faults
    assert message in faults[0].message
    assert hint in faults[0].hint


@pytest.mark.parametrize("case", SHAPES + MEANINGS)
def test_one_mistake_in_a_loadtest_is_one_fault(case):
    """One mistake gives exactly one fault, at its path, with what is wrong and what would be right."""
    check_case(validate_loadtest, loadtest(), case)


@pytest.mark.parametrize("case", BUDGETS)
def test_one_mistake_in_a_budget_is_one_fault(case):
    """The same holds for budgets."""
    check_case(validate_budget, budget(), case)


def test_all_mistakes_are_said_at_once_in_the_manifests_order():
    """Faults of shape and of meaning come together, in the order in which they stand in the manifest."""
    raw = loadtest()
    put(raw, ("spec", "target", "url"), "ftp://x")
    put(raw, ("spec", "runners", "count"), "2")
    put(raw, (*JOURNEY, "stages"), [{"duration": "0s", "target": 1}])
    put(raw, (*LOGIN, "request", "url"), "/${tokn}")
    put(raw, (*ARRIVALS, "rate"), 0)
    put(raw, (*ARRIVALS, "maxVUs"), 1)
    put(raw, ("spec", "thresholds", "http_reqz"), ["count>1"])
    assert [fault.path for fault in faults_of(validate_loadtest, raw)] == [
        "spec.target.url",
        "spec.runners.count",
        "spec.scenarios[0].stages",
        "spec.scenarios[0].steps[0].request.url",
        "spec.scenarios[1].rate",
        "spec.scenarios[1].maxVUs",
        "spec.thresholds.http_reqz",
    ]


def test_an_unknown_executor_hides_no_other_fault():
    """What can be said of a scenario without knowing its executor is said."""
    raw = loadtest()
    put(raw, (*JOURNEY, "executor"), "ramping")
    put(raw, (*JOURNEY, "startTime"), 5)
    put(raw, (*STEPS, 1, "think"), 1)
    assert [fault.path for fault in faults_of(validate_loadtest, raw)] == [
        "spec.scenarios[0].executor",
        "spec.scenarios[0].steps[1].think",
        "spec.scenarios[0].startTime",
    ]


def test_stages_without_any_load_are_refused():
    """A ramp from nothing to nothing measures nothing."""
    raw = loadtest()
    put(raw, (*JOURNEY, "startVUs"), 0)
    put(raw, (*JOURNEY, "stages"), [{"duration": "2m", "target": 0}])
    (fault,) = faults_of(validate_loadtest, raw)
    assert fault.path == "spec.scenarios[0].stages"
    assert "every target is 0" in fault.message


def test_steps_may_not_stand_too_deep():
    """Five levels of steps are allowed, a sixth is a fault."""
    steps = [{"think": "1s"}]
    for _ in range(4):
        steps = [{"repeat": {"times": 2, "steps": steps}}]
    raw = loadtest()
    put(raw, (*ARRIVALS, "steps"), steps)
    assert faults_of(validate_loadtest, raw) == []
    put(raw, (*ARRIVALS, "steps"), [{"group": {"name": "g", "steps": steps}}])
    (fault,) = faults_of(validate_loadtest, raw)
    assert "more than 5 deep" in fault.message


def test_a_test_may_not_have_too_many_steps():
    """Five hundred steps in all are allowed, one more is a fault."""
    raw = loadtest()
    put(
        raw,
        (*ARRIVALS, "steps"),
        [{"repeat": {"times": 1, "steps": [{"think": "1s"}] * 250}}] + [{"think": "1s"}] * 233,
    )
    assert faults_of(validate_loadtest, raw) == []
    raw["spec"]["scenarios"][1]["steps"].append({"think": "1s"})
    (fault,) = faults_of(validate_loadtest, raw)
    assert (fault.path, fault.message) == ("spec", "has 501 steps in all; at most 500")


def test_a_script_may_have_metrics_names_and_tags_of_its_own():
    """Where a Python script makes samples, a threshold may name what no manifest shows, but for scenarios."""
    raw = loadtest()
    put(raw, (*ARRIVALS, "steps"), ...)
    put(raw, (*ARRIVALS, "script"), {"configMapKeyRef": {"name": "journeys", "key": "a.py"}})
    raw["spec"]["thresholds"] = {"basket_size": ["avg>1"], "http_reqs{name:mine,tag:x}": ["count>1"]}
    assert faults_of(validate_loadtest, raw) == []
    raw["spec"]["thresholds"] = {"http_reqs{scenario:nobody}": ["count>1"]}
    (fault,) = faults_of(validate_loadtest, raw)
    assert "no scenario is called 'nobody'" in fault.message


def test_get_with_a_json_body_is_fine():
    """A body is allowed with every method."""
    raw = loadtest()
    put(raw, (*LOGIN, "request", "method"), "GET")
    assert faults_of(validate_loadtest, raw) == []


def test_multipart_parts_are_checked_one_by_one():
    """A part has a value or a file, and its names stay within their line."""
    raw = loadtest()
    put(raw, (*LOGIN, "request", "json"), ...)
    put(
        raw,
        (*LOGIN, "request", "multipart"),
        [
            {"name": "a", "value": "${vu.id}"},
            {"name": "b"},
            {"name": "c\r\n", "value": "x"},
            {"name": "d", "value": "${nobody}"},
            {"name": "e", "file": {"configMapKeyRef": {"name": "files", "key": "a.png"}}, "filename": "${vu.id}"},
        ],
    )
    at = f"{STEP}.request.multipart"
    assert [fault.path for fault in faults_of(validate_loadtest, raw)] == [
        f"{at}[1]",
        f"{at}[2].name",
        f"{at}[3].value",
        f"{at}[4].filename",
    ]


def test_a_deadline_may_be_shorter_than_iterations_could_take():
    """Iterations are usually done long before their maximum, so a deadline below it is no fault."""
    raw = loadtest()
    raw["spec"]["scenarios"] = [{"name": "a", "executor": "shared-iterations", "steps": [{"think": "1s"}]}]
    raw["spec"] = {**raw["spec"], "deadline": "1m", "thresholds": {}}
    assert faults_of(validate_loadtest, raw) == []


def test_values_too_deep_to_walk_through_are_refused():
    """A manifest that comes through the API server may nest without end; it is refused, not crashed on."""
    deep = {}
    for _ in range(5000):
        deep = {"a": [deep]}
    raw = loadtest()
    put(raw, (*LOGIN, "request"), {"url": "/"})
    raw["spec"]["scenarios"][0]["steps"][0]["request"]["json"] = deep
    (fault,) = faults_of(validate_loadtest, raw)
    assert "more than 64 deep" in fault.message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*LOGIN, "request", "json"), [f"${{x{n}}}" for n in range(5000)]),
        ((*ARRIVALS, "steps"), [{"thnk": 1}] * 450),
        (
            (*ARRIVALS, "steps"),
            [{"request": {"url": f"/${{x{n}}}"}, "extract": {f"y{n}": {"json": "$.a"}}} for n in range(5000)],
        ),
    ],
)
def test_a_manifest_full_of_faults_is_answered_soon(path, value):
    """However many faults there are, the first two hundred are said, and that there are more."""
    raw = loadtest()
    put(raw, path, value)
    faults = faults_of(validate_loadtest, raw)
    assert len(faults) == 201
    assert faults[-1].message == "has more faults than are listed here"


def test_a_status_that_cannot_be_read_is_no_fault():
    """The status is the operator's: a foreign one counts as none, a good one is kept."""
    raw = loadtest()
    raw["status"] = {"phase": "Bewildered", "observedGeneration": 7}
    assert validate_loadtest(raw).status.observed_generation == -1
    raw["status"] = {"phase": "Passed", "observedGeneration": 7}
    assert validate_loadtest(raw).status.observed_generation == 7
    assert validate_budget({**budget(), "status": {"loadTests": 5}}).status.load_tests == []


def test_a_fault_reads_as_one_line():
    """A fault is shown with its place, its path, what is wrong and what would be right, as far as they are known."""
    assert str(Fault("spec.a", "is missing", "write it", "a.yaml", 3, 5)) == "a.yaml:3:5: spec.a: is missing (write it)"
    assert str(Fault("", "is empty")) == "is empty"
    assert str(InvalidSpec([Fault("a", "b"), Fault("c", "d")])) == "a: b; c: d"


def _places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))


PLACES = [path for path in _places(loadtest()) if path]
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({}), st.just([{}]),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), st.sampled_from(["${", "${x}", "~(", "1s", "\r\n"]),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), ODD), min_size=1, max_size=4))
def test_no_manifest_whatever_its_shape_raises_anything_else(changes):
    """Any value at any place gives a model or faults with words of our own, never another exception."""
    raw = copy.deepcopy(loadtest())
    for path, value in changes:
        try:
            put(raw, path, value)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took away what this one was to change
    faults = faults_of(validate_loadtest, raw)
    assert all(fault.message for fault in faults)
    assert not any("Input should be" in fault.message or "[type=" in fault.message for fault in faults)
    assert len({(fault.path, fault.message) for fault in faults}) == len(faults)


@pytest.mark.parametrize(
    ("target", "url", "verify", "faulty"),
    [
        ("https://a", None, False, True),
        ("http://a", None, False, False),
        ("http://a", "grpcs://b", False, True),
        ("https://a", "grpc://b", False, False),
        ("https://a", None, True, False),
    ],
)
def test_a_grpc_call_over_tls_is_verified(target, url, verify, faulty):
    """Certificates are always verified there, so a test that says otherwise is told what to do instead."""
    step = {"grpc": {"method": "a.B/C", **({"url": url} if url else {})}}
    raw = loadtest()
    put(raw, STEPS, [step])
    put(raw, ("spec", "target"), {"url": target, "tls": {"verify": verify}})
    found = [fault for fault in faults_of(validate_loadtest, raw) if fault.path == "spec.target.tls.verify"]
    assert bool(found) is faulty
    assert all("tls.ca" in fault.hint for fault in found)


@pytest.mark.parametrize(("without", "faulty"), [([], True), (["a"], False), (["b"], True)])
def test_a_grpc_call_goes_through_no_proxy(without, faulty):
    """A server that only a proxy leads to can't be called, which is said with what to do."""
    raw = loadtest()
    put(raw, STEPS, [{"grpc": {"method": "a.B/C"}}])
    put(raw, ("spec", "target"), {"url": "http://a", "proxy": {"url": "http://p:3128", "noProxy": without}})
    found = [fault for fault in faults_of(validate_loadtest, raw) if fault.path == "spec.target.proxy"]
    assert [fault.hint for fault in found] == (["list the host in noProxy"] if faulty else [])


def test_a_grpc_call_chooses_no_source_address():
    """Where connections come from can't be chosen for grpc, nor their rates, so that a test that says so is told."""
    raw = loadtest()
    put(raw, STEPS, [{"grpc": {"method": "a.B/C"}}])
    asked = {"sourceAddresses": ["10.0.0.1"], "uploadRate": "1M", "downloadRate": "1M"}
    put(raw, ("spec", "target"), {"url": "http://a", "connection": asked})
    found = [fault.path for fault in faults_of(validate_loadtest, raw)]
    assert {f"spec.target.connection.{field}" for field in asked} <= set(found)


def test_only_a_grpc_call_has_a_status_by_name():
    """A request's status is a number."""
    raw = loadtest()
    put(raw, STEPS, [{"request": {"url": "/"}, "check": {"status": "OK"}}])
    messages = [fault.message for fault in faults_of(validate_loadtest, raw)]
    assert "only a gRPC call has such a status" in messages


@pytest.mark.parametrize(
    ("call", "headers", "faulty"),
    [
        ({}, {}, True),
        ({"url": "http://A:80"}, {}, True),
        ({"url": "http://a:81"}, {}, False),
        ({"url": "grpcs://a"}, {}, False),
        ({"url": "HTTP://a"}, {}, True),
        ({"url": "http://other"}, {}, False),
        ({"auth": {"none": True}}, {}, False),
        ({"metadata": {"authorization": "x"}}, {}, False),
        ({}, {"Authorization": "x"}, False),
    ],
)
def test_a_grpc_call_to_the_target_is_not_signed(call, headers, faulty):
    """Its library puts the request together: such a call says by itself who it is, or that it is nobody."""
    raw = loadtest()
    put(raw, ("spec", "target"), {"url": "http://a", "headers": headers, "auth": {"awsSigV4": AWS}})
    put(raw, (*STEPS, 1), {"grpc": {"method": "a.B/C", **call}})
    found = [fault for fault in faults_of(validate_loadtest, raw) if "can't be authenticated" in fault.message]
    assert [(fault.path, fault.hint) for fault in found] == (
        [("spec.scenarios[0].steps[1].grpc", "auth: {none: true}")] if faulty else []
    )


SIGNED = {**AWS, "service": "s3", "sessionToken": "${secret.password}"}
OWN_TOO = "spec.scenarios[0].steps[1].request.headers"


@pytest.mark.parametrize(
    ("aws", "call", "twice"),
    [
        (AWS, {"headers": {"X-Amz-Date": "20260101T000000Z"}}, ["X-Amz-Date"]),
        (AWS, {"headers": {"x-amz-date": "a", "X-Amz-Security-Token": "b", "X-Amz-Content-Sha256": "c"}}, ["x-amz-date"]),
        (
            SIGNED,
            {"headers": {"X-Amz-Security-Token": "b", "X-AMZ-Content-SHA256": "c"}},
            ["X-Amz-Security-Token", "X-AMZ-Content-SHA256"],
        ),
        ({**SIGNED, "service": "vpc-lattice-svcs", "payload": "unsigned"}, {"headers": {"X-Amz-Content-Sha256": "c"}},
         ["X-Amz-Content-Sha256"]),
        (SIGNED, {"headers": {"X-Amz-Target": "A.B", "X-Amz-Acl": "private"}}, []),
        (AWS, {"url": "HTTP://A:80/x", "headers": {"X-Amz-Date": "a"}}, ["X-Amz-Date"]),
        (AWS, {"url": "http://other/x", "headers": {"X-Amz-Date": "a"}}, []),
        (AWS, {"url": "${setup.place}", "headers": {"X-Amz-Date": "a"}}, []),
        (AWS, {"url": "/${vu.id}", "headers": {"X-Amz-Date": "a"}}, ["X-Amz-Date"]),
        (AWS, {"auth": {"none": True}, "headers": {"X-Amz-Date": "a"}}, []),
        (AWS, {"headers": {"Authorization": "AWS4-HMAC-SHA256 mine", "X-Amz-Date": "a"}}, []),
    ],
)  # fmt: skip
def test_a_signed_request_has_no_header_that_its_signature_brings(aws, call, twice):
    """Where a request is signed for sure, headers that would be there twice are said by their paths, and what to do."""
    raw = loadtest()
    put(raw, ("spec", "target"), {"url": "http://a", "auth": {"awsSigV4": aws}})
    put(raw, (*STEPS, 1), {"request": {"url": "/", **call}})
    found = [fault for fault in faults_of(validate_loadtest, raw) if "twice" in fault.message]
    assert [fault.path for fault in found] == [f"{OWN_TOO}.{name}" for name in twice]
    assert all(fault.hint == "leave it out, or give the request an `auth` of its own" for fault in found)


@pytest.mark.parametrize("kind", ["sse", "websocket", "graphql"])
def test_a_signed_stream_has_none_either(kind):
    """Whatever kind of call it is, by its URL as that is written for the kind."""
    raw = loadtest()
    fields = {"sse": {"for": "1s"}, "websocket": {"steps": [{"send": "a"}]}, "graphql": {"query": "{a}"}}[kind]
    url = "ws://a/x" if kind == "websocket" else "/x"
    put(raw, ("spec", "target"), {"url": "http://a", "auth": {"awsSigV4": AWS}})
    put(raw, (*STEPS, 1), {kind: {"name": "n", "url": url, "headers": {"X-Amz-Date": "a"}, **fields}})
    found = [fault.path for fault in faults_of(validate_loadtest, raw) if "twice" in fault.message]
    assert found == [f"spec.scenarios[0].steps[1].{kind}.headers.X-Amz-Date"]


@pytest.mark.parametrize(
    ("auth", "name", "message"),
    [
        ({"awsSigV4": AWS}, "x-amz-date", "is what target.auth.awsSigV4 sends itself"),
        ({"awsSigV4": AWS}, "Authorization", "in place of what auth.awsSigV4 sends"),
        ({"digest": {"username": "a", "password": "${secret.password}"}}, "authorization", "of what auth.digest sends"),
        ({"awsSigV4": AWS}, "X-Amz-Target", None),
        (None, "Authorization", None),
    ],
)
def test_the_targets_headers_leave_its_auth_its_own(auth, name, message):
    """A header of all requests that doubles the signature's, or keeps all from being signed, is a fault at its path."""
    raw = loadtest()
    put(raw, ("spec", "target"), {"url": "http://a", "headers": {name: "x"}, **({"auth": auth} if auth else {})})
    found = [fault for fault in faults_of(validate_loadtest, raw) if fault.path == f"spec.target.headers.{name}"]
    assert len(found) == (message is not None)
    assert all(message in fault.message and fault.hint for fault in found)
