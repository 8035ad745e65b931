"""Requests as they leave: URL, query, headers, body and options, static and made each time."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journey_samples import Bench, FakeClient, plan_of, scope_of

from loadgate.api.steps import Request, WebSocket
from loadgate.plan.document import PlanConnection, PlanProxy, PlanTarget, PlanTimeouts
from loadgate_runner.http import TLS, Options, Rates, Timeouts, basic, encode_path, locate
from loadgate_runner.journey.errors import JourneyError
from loadgate_runner.journey.state import State
from loadgate_runner.journey.target import Target, load
from loadgate_runner.journey.urls import compile_address

VARIABLES = {
    "setup": {
        "word": "w", "odd": "a b/ü?#%&=", "next": "https://other:8443/n?x=1", "rel": "/rel?y=1", "host": "h.example",
        "bad": "http://[", "n": 5, "evil": "v\r\nX-Evil: 1\0", "token": "t0",
    }
}  # fmt: skip


async def send(request, **more):
    """Send one request through a compiled scenario, and return what the client was given."""
    bench = Bench.steps({"request": request}, **VARIABLES, **more)
    assert await bench.vu.iterate(0) == "completed", bench.log
    (sent,) = bench.client.sent
    return sent


def target(url="http://shop/base/", **more):
    """A target."""
    return PlanTarget(url=url, timeouts=PlanTimeouts(total=5), **more)


@pytest.mark.parametrize(
    ("url", "query", "sent"),
    [
        ("/products", {}, "http://shop/base/products"),
        ("products", {}, "http://shop/base/products"),
        ("/", {}, "http://shop/base/"),
        ("?a=1", {}, "http://shop/base/?a=1"),
        ("/a b?q=ü#part", {}, "http://shop/base/a%20b?q=%C3%BC"),
        ("/p/${setup.word}", {}, "http://shop/base/p/w"),
        ("/p/${setup.n}/x", {}, "http://shop/base/p/5/x"),
        ("${setup.n}", {}, "http://shop/base/5"),
        ("/p/${setup.odd}", {}, "http://shop/base/p/a%20b/%C3%BC?%23%25&="),
        ("/p/${setup.word}#${setup.word}", {}, "http://shop/base/p/w"),
        ("/p", {"a": "1", "b": ["x y", "${setup.odd}"], "c": None, "d": True, "e": 1.5}, None),
        ("/p?z=0", {"a": "${setup.word}"}, "http://shop/base/p?z=0&a=w"),
        ("https://Other/x", {}, "https://other/x"),
        ("http://other", {"q": "${setup.n}"}, "http://other/?q=5"),
        ("http://other:81/x/${setup.word}?y=${setup.n}", {"z": "1"}, "http://other:81/x/w?y=5&z=1"),
        ("http://[::1]:8080/${setup.word}", {}, "http://[::1]:8080/w"),
        ("${setup.next}", {}, "https://other:8443/n?x=1"),
        ("${setup.rel}", {"a": "1"}, "http://shop/base/rel?y=1&a=1"),
        ("http://${setup.host}/x", {"n": "${setup.n}"}, "http://h.example/x?n=5"),
    ],
)
async def test_a_url_leads_here(url, query, sent):
    """Relative URLs are appended to the target's, whole ones taken as they are, values encoded where they stand."""
    found = await send({"url": url, "query": query}, target=target())
    assert found.url == (sent or "http://shop/base/p?a=1&b=x+y&b=a+b%2F%C3%BC%3F%23%25%26%3D&d=true&e=1.5")


@given(st.text(min_size=1, max_size=10).filter(lambda text: "#" not in text and "$" not in text))
def test_a_value_in_a_path_is_encoded_as_the_path_as_a_whole_would_be(text):
    """Putting encoded pieces together gives what encoding the text gives."""
    origin, _ = locate("http://shop/")
    shop = Target(origin, b"", {}, Options())
    scope = scope_of(setup={"v": text})
    address = compile_address("/p/${setup.v}/q", {}, shop, scope)
    assert address.path(State(1, FakeClient(), 0)) == encode_path(f"/p/{text}/q")


@pytest.mark.parametrize("url", ["${setup.bad}", "http://${setup.odd}/"])
async def test_a_url_that_leads_nowhere_fails_the_iteration(url):
    """It depends on what the target said, so it isn't the runner's fault."""
    bench = Bench.steps({"request": {"url": url}}, **VARIABLES)
    assert await bench.vu.iterate(0) == "failed"
    assert bench.client.sent == []


@pytest.mark.parametrize("url", ["http://", "https://:80/"])
def test_a_fixed_url_that_leads_nowhere_is_refused(url):
    """When it is compiled."""
    with pytest.raises(JourneyError):
        Bench.steps({"request": {"url": url}})


async def test_a_static_request_is_ready_bytes():
    """Nothing is made each time where nothing changes."""
    sent = await send({"url": "/p", "method": "POST", "json": {"a": 1}, "headers": {"X-A": "1"}})
    assert sent.prepared.wire is not None
    assert sent.path is sent.prepared.path
    assert sent.prepared.body == b'{"a":1}'


async def test_headers_of_the_request_win_over_the_targets():
    """Without regard to case; values may be templates, and no value adds a header."""
    where = target(headers={"X-A": "target", "x-b": "${vu.id}", "X-C": "kept ${run.id}"})
    headers = {"x-a": "${setup.word}", "X-B": "b", "X-D": "${setup.evil}", "X-E": "ü${setup.n}"}
    sent = await send({"url": "/", "headers": headers}, target=where)
    assert {name: sent.header(name) for name in ("x-a", "x-b", "x-c", "x-d", "x-e", "x-evil")} == {
        "x-a": ["w"], "x-b": ["b"], "x-c": ["kept run-1"], "x-d": ["v  X-Evil: 1 "], "x-e": ["ü5"], "x-evil": [],
    }  # fmt: skip


@pytest.mark.parametrize("value", ["fixed", "${setup.word}"])
@pytest.mark.parametrize("name", ["User-Agent", "Accept", "Accept-Encoding", "Content-Type"])
async def test_a_default_header_that_is_given_is_sent_once(name, value):
    """Whether its value is known or made each time; the other defaults stay."""
    sent = await send({"url": "/", "method": "POST", "text": "x", "headers": {name: value}})
    assert sent.header(name) == [value.replace("${setup.word}", "w")]
    for other in {"User-Agent", "Accept", "Accept-Encoding", "Content-Type"} - {name}:
        assert len(sent.header(other)) == 1


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"bearer": "abc"}, "Bearer abc"),
        ({"bearer": "${setup.token}"}, "Bearer t0"),
        ({"bearer": "${secret.pass}"}, "Bearer p:w"),
        (
            {"basic": {"username": "ann", "password": "${secret.pass}"}},
            "Basic " + base64.b64encode(b"ann:p:w").decode(),
        ),
        ({"basic": {"username": "u${vu.id}", "password": "x"}}, "Basic " + base64.b64encode(b"u7:x").decode()),
    ],
)
async def test_a_request_says_who_it_is(auth, header):
    """And `auth` wins over a header."""
    request = {"url": "/", "auth": auth, "headers": {"authorization": "no"}}
    sent = await send(request, secrets={"pass": "PASS"}, environ={"PASS": "p:w"})
    assert sent.header("Authorization") == [header]


@pytest.mark.parametrize(
    ("body", "content_type", "content"),
    [
        (
            {"json": {"a": ["${setup.n}", "x${setup.n}"], "é": None}},
            "application/json",
            '{"a":[5,"x5"],"é":null}'.encode(),
        ),
        ({"json": "${setup.odd}"}, "application/json", orjson.dumps(VARIABLES["setup"]["odd"])),
        ({"json": None}, "application/json", b"null"),
        ({"form": {"a": "x y", "b": ["1", "${setup.n}"]}}, "application/x-www-form-urlencoded", b"a=x+y&b=1&b=5"),
        ({"text": "100% ${setup.word} ü"}, "text/plain; charset=utf-8", "100% w ü".encode()),
        ({"text": "fixed"}, "text/plain; charset=utf-8", b"fixed"),
    ],
)
async def test_a_body_is_sent_with_its_type(body, content_type, content):
    """JSON keeps the type of what is one expression."""
    sent = await send({"url": "/", "method": "POST", **body})
    assert sent.header("Content-Type") == [content_type]
    assert sent.body == content


@pytest.fixture
def files(tmp_path):
    """A mounted ConfigMap."""
    folder = tmp_path / "assets"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"\x89PNG\xff")
    (folder / "blob").write_bytes(b"\0\1")
    return tmp_path


def reference(key):
    """A file of that ConfigMap."""
    return {"configMapKeyRef": {"name": "assets", "key": key}}


@pytest.mark.parametrize(
    ("key", "content_type", "content"),
    [("a.png", "image/png", b"\x89PNG\xff"), ("blob", "application/octet-stream", b"\0\1")],
)
async def test_a_file_is_sent_byte_by_byte(files, key, content_type, content):
    """With the type that its name says."""
    sent = await send({"url": "/", "method": "PUT", "file": reference(key)}, tmp_path=files)
    assert (sent.header("Content-Type"), sent.body) == ([content_type], content)


@pytest.mark.parametrize("value", ["fixed", "v${setup.n}"])
async def test_a_multipart_form_has_its_parts(files, value):
    """Fields and files; the boundary stands in the content type."""
    parts = [{"name": "field", "value": value}, {"name": "up", "file": reference("a.png")}]
    sent = await send({"url": "/", "method": "POST", "multipart": parts}, tmp_path=files)
    (content_type,) = sent.header("Content-Type")
    boundary = content_type.partition("boundary=")[2]
    assert content_type.startswith("multipart/form-data; ")
    assert sent.body.count(b"--" + boundary.encode()) == 3
    assert b'name="field"\r\n\r\n' + value.replace("${setup.n}", "5").encode() + b"\r\n" in sent.body
    assert b'name="up"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG\xff\r\n' in sent.body


@pytest.mark.parametrize(
    "body", [{"file": reference("gone")}, {"multipart": [{"name": "a", "file": reference("gone")}]}]
)
def test_a_file_that_is_not_there_is_refused(files, body):
    """Before any load."""
    with pytest.raises(JourneyError, match="gone can't be read"):
        Bench.steps({"request": {"url": "/", "method": "POST", **body}}, tmp_path=files)


def test_a_header_that_is_none_is_refused():
    """When it is compiled."""
    with pytest.raises(JourneyError, match="GET /"):
        Bench.steps({"request": {"url": "/", "headers": {"a b": "1"}}})


async def test_a_request_has_its_own_options_or_the_targets():
    """Timeouts, redirects, host and compression."""
    where = PlanTarget(
        url="http://shop", timeouts=PlanTimeouts(connect=2, total=5), max_redirects=3, host="shop.example"
    )
    plain = (await send({"url": "/"}, target=where)).prepared.options
    assert plain == Options(Timeouts(2, 5, 5, 5), TLS(), "shop.example", 3, compressed=True)
    own = {
        "url": "/",
        "timeout": {"total": "1s", "firstByte": "2s"},
        "maxRedirects": 0,
        "host": "own",
        "compressed": False,
    }
    assert (await send(own, target=where)).prepared.options == Options(
        Timeouts(1, 1, 1, 1), TLS(), "own", 0, compressed=False
    )
    header = {"url": "/", "headers": {"host": "header"}}
    assert (await send(header, target=where)).prepared.options.host == "header"


def test_a_targets_certificates_come_from_files_and_environment(tmp_path):
    """What is missing or wrong is said before any load."""
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.pem").write_text("no certificate")
    with pytest.raises(JourneyError, match="TLS"):
        load(target("https://shop", ca_file="tls/ca.pem"), tmp_path, {})
    with pytest.raises(JourneyError, match="CERT isn't set"):
        load(target("https://shop", cert_env="CERT", key_env="KEY"), tmp_path, {})
    found = load(target("https://shop/a/?x=1", verify=False, server_name="s"), tmp_path, {})
    assert found.options.tls == TLS(verify=False, server_name="s")
    assert found.base == b"/a"
    with pytest.raises(JourneyError):
        load(target("ftp://shop"), tmp_path, {})


def test_a_targets_proxy_is_told_who_asks_by_environment(tmp_path):
    """Its credentials and certificates are read once, and what is missing or wrong is said before any load."""
    (tmp_path / "ca.pem").write_text("no certificate")
    who = {"username_env": "U", "password_env": "P"}
    found = load(target(proxy=PlanProxy(url="http://Proxy:3128/", **who)), tmp_path, {"U": "user", "P": "pass"})
    proxy = found.options.proxy
    assert (proxy.origin, proxy.authorization, proxy.tls) == (("http", "proxy", 3128), basic("user", "pass"), TLS())
    with pytest.raises(JourneyError, match="the target's proxy: P isn't set"):
        load(target(proxy=PlanProxy(url="http://proxy", **who)), tmp_path, {"U": "user"})
    with pytest.raises(JourneyError, match="TLS settings of the target's proxy"):
        load(target(proxy=PlanProxy(url="https://proxy", ca_file="ca.pem")), tmp_path, {})
    assert load(target(), tmp_path, {}).options.proxy is None


@pytest.mark.parametrize(
    ("rates", "found"),
    [({}, None), ({"upload_rate": 1000.0}, Rates(1000, 0)), ({"download_rate": 5.0}, Rates(0, 5))],
)
def test_a_targets_rates_are_those_of_each_request(rates, found, tmp_path):
    """Where none is given, nothing is to stand between a connection and its socket."""
    where = load(target(connection=PlanConnection(**rates)), tmp_path, {})
    assert where.options_for(Request(url="/")).rates == found


def test_websockets_alone_have_plain_http_tunnelled(tmp_path):
    """An upgrade is nothing that a proxy passes on."""
    where = load(target(proxy=PlanProxy(url="http://proxy")), tmp_path, {})
    assert where.options_for(WebSocket(url="/")).proxy.tunnels
    assert not where.options_for(Request(url="/")).proxy.tunnels
    assert where.options_for(Request(url="/")).proxy is where.options_for(Request(url="/b")).proxy


@pytest.mark.parametrize(
    ("step", "needs"),
    [
        ({}, (False, False)),
        ({"check": {"trailers": {"a": "b"}}}, (False, False)),
        ({"extract": {"a": {"trailer": "b"}}}, (False, False)),
        ({"check": {"status": 200, "duration": "<1s"}}, (False, False)),
        ({"check": {"headers": {"a": "b"}}}, (True, False)),
        ({"check": {"cookies": {"a": "b"}}}, (True, False)),
        ({"check": {"json": {"$.a": 1}}}, (True, True)),
        ({"check": {"body": "exists"}}, (True, True)),
        ({"check": {"size": ">0"}}, (True, True)),
        ({"extract": {"a": {"header": "b"}}}, (True, False)),
        ({"extract": {"a": {"json": "$.b"}}}, (True, True)),
        ({"extract": {"a": {"regex": "b"}}}, (True, True)),
    ],
)
async def test_of_a_response_only_what_is_looked_at_is_kept(step, needs):
    """The rest is counted and dropped."""
    bench = Bench(plan_of({"request": {"url": "/"}, **step}))
    await bench.vu.iterate(0)
    prepared = bench.client.sent[0].prepared
    assert (prepared.needs_head, prepared.needs_body) == needs


@pytest.mark.parametrize(
    ("more", "path", "content"),
    [
        ({}, b"/x", b"hello"),
        ({"text": "n=${setup.n}"}, b"/x", b"n=5"),
        ({"url": "/p/${setup.word}"}, b"/p/w", b"hello"),
        ({"url": "${setup.next}", "text": "${setup.word}"}, b"/n?x=1", b"w"),
        ({"headers": {"X": "${setup.n}"}}, b"/x", b"hello"),
    ],
)
async def test_a_body_that_waits_goes_apart_from_its_head(more, path, content):
    """Whatever of a request changes, with `expectContinue` its body waits for so long, and it is the same body."""
    request = {"method": "POST", "url": "/x", "text": "hello", "expectContinue": "1500ms", **more}
    bench = Bench.steps({"request": request}, **VARIABLES)
    assert await bench.vu.iterate(0) == "completed", bench.log
    (sent,) = bench.client.sent
    assert bench.client.apart == 1
    assert sent.prepared.patience == 1_500_000_000
    prepared = sent.prepared.content
    assert (prepared.pieces().take() if sent.body is None else sent.body) == content
    assert sent.path == path


async def test_a_body_that_does_not_wait_goes_with_its_head():
    """Without `expectContinue` a request is sent as ever."""
    bench = Bench.steps({"request": {"method": "POST", "url": "/x", "text": "hello"}})
    await bench.vu.iterate(0)
    assert (bench.client.apart, bench.client.sent[0].prepared.content) == (0, None)


@pytest.mark.parametrize("where", ["configMapKeyRef", "path"])
async def test_a_large_file_is_opened_once_and_read_as_it_is_sent(files, where):
    """With the type that its name says, for all steps that send it; a small one by its path is bytes as ever."""
    large = files / "assets" / "large.mp4"
    large.write_bytes(b"x" * (256 << 10))
    source = reference("large.mp4") if where == "configMapKeyRef" else {"path": str(large)}
    request = {"url": "/", "method": "PUT", "file": source}
    small = {"url": "/", "method": "PUT", "file": {"path": str(files / "assets" / "blob")}}
    bench = Bench.steps({"request": request}, {"request": request}, {"request": small}, tmp_path=files)
    await bench.vu.iterate(0)
    first, _, little = bench.client.sent
    assert bench.client.apart == 2
    assert first.prepared.content.size == 256 << 10
    assert bench.client.sent[1].prepared.content.pieces().take() == b"x" * 65536
    assert first.header("Content-Type") == ["video/mp4"]
    assert (little.body, little.prepared.content) == (b"\0\1", None)


@pytest.mark.parametrize("value", ["fixed", "v${setup.n}"])
async def test_a_form_with_a_large_file_goes_apart(files, value):
    """What of the form is made each time stands between the same pieces of the file."""
    large = files / "assets" / "large"
    large.write_bytes(b"x" * (256 << 10))
    parts = [{"name": "field", "value": value}, {"name": "up", "file": {"path": str(large)}}]
    request = {"url": "/", "method": "POST", "multipart": parts}
    bench = Bench.steps({"request": request}, **VARIABLES)
    await bench.vu.iterate(0)
    (sent,) = bench.client.sent
    content = sent.body or sent.prepared.content
    pieces = content.pieces()
    body = b"".join(iter(pieces.take, b""))
    assert pieces.left == 0
    assert content.size == len(body)
    assert b'name="field"\r\n\r\n' + value.replace("${setup.n}", "5").encode() + b"\r\n" in body
    assert b'name="up"; filename="large"\r\nContent-Type: application/octet-stream\r\n\r\nxxx' in body
