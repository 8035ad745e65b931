"""Through a proxy: real ones on loopback, that pass on, refuse, lie and stall."""

import asyncio

import pytest
from http_peers import Names, Relaying, read_request, until

from loadgate.api.grammar.noproxy import NoProxy
from loadgate.plan import Targets
from loadgate_runner.http import (
    TLS,
    Client,
    Dns,
    Failure,
    Gate,
    Network,
    Options,
    Proxy,
    Timeouts,
    basic,
    converse,
    header_line,
    locate,
    prepare,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
WHO = basic("load", "pass-word")
NAMES = {"shop_test": [["127.0.0.1"]], "other_test": [["127.0.0.1"]]}


def to(location):
    """A redirect."""
    return b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location.encode()


def url_of(peer, host="shop.test", path="/"):
    return f"{peer.origin.scheme}://{host}:{peer.origin.port}{path}"


def get(url, proxy, *, method="GET", body=None, tls=None, total=5.0, **limits):
    origin, path = locate(url)
    options = Options(timeouts=Timeouts(total=total, **limits), proxy=proxy, tls=tls or TLS())
    return prepare(method, origin, path, options=options, body=body, needs_headers=True, needs_body=True)


@pytest.fixture
async def make():
    """Makes clients whose names a test resolves, and that must have no connection left in the end."""
    made = []

    def make(gate=None, names=None):
        network = Network(gate=gate, resolve=names or Names(**NAMES))
        made.append((network, Client(network)))
        return made[-1][1]

    yield make
    for network, client in made:
        client.close()
        await until(lambda network=network: network.open_connections == 0)
        network.close()


@pytest.fixture
def trusted(authority):
    """TLS settings by which the tests' servers are trusted."""
    return TLS(ca=authority.cert_pem.bytes().decode())


@pytest.fixture
async def relay(serve):
    """Starts proxies that pass on."""

    async def start(wants=b"", tls=None, **how):
        return await serve(Relaying(wants, **how), tls=tls)

    return start


async def test_a_proxy_is_asked_for_http_with_the_whole_url(answers, relay, make):
    """The proxy gets the URL and the credentials, the target a path and no credentials."""
    shop, hop = await answers(OK), await relay(WHO.encode())
    client = make()
    request = get(url_of(shop, path="/a?b=c"), Proxy(hop.origin, authorization=WHO), method="POST", body=b"x" * 10)
    responses = [await client.send(request), await client.send(request, path=b"/d", headers=header_line("X", "y"))]
    assert [(one.status, one.text, one.url) for one in responses] == [
        (200, "hello", url_of(shop, path="/a?b=c")),
        (200, "hello", url_of(shop, path="/d")),
    ]
    assert hop.lines == [f"POST {url_of(shop, path=path)} HTTP/1.1" for path in ("/a?b=c", "/d")]
    assert all(request.count(b"Proxy-Authorization: Basic ") == 1 for request in hop.requests)
    assert shop.lines == ["POST /a?b=c HTTP/1.1", "POST /d HTTP/1.1"]
    assert f"Host: shop.test:{shop.origin.port}\r\n".encode() in hop.requests[0]
    assert (hop.connections, [one.reused for one in responses]) == (1, [False, True])


async def test_https_goes_through_a_tunnel(answers, relay, make, server_tls, trusted):
    """The proxy is asked for host and port, and sees neither path nor headers; the target sees no credentials."""
    shop, hop = await answers(OK, tls=server_tls("shop.test")), await relay(WHO.encode())
    client = make()
    request = get(url_of(shop, path="/secret"), Proxy(hop.origin, authorization=WHO), tls=trusted)
    responses = [await client.send(request) for _ in range(3)]
    assert [(one.status, one.text, one.error) for one in responses] == [(200, "hello", None)] * 3
    where = f"shop.test:{shop.origin.port}"
    assert hop.lines == [f"CONNECT {where} HTTP/1.1"]
    assert f"Host: {where}\r\n".encode() in hop.requests[0]
    assert shop.lines == ["GET /secret HTTP/1.1"] * 3
    assert not any(b"proxy" in request.lower() for request in shop.requests)
    assert responses[0].tls > 0 < responses[0].connecting


async def test_a_proxy_may_speak_tls_itself(answers, relay, make, server_tls, trusted):
    """Both an http target and an https one, whose TLS is within the proxy's; each is verified by its own settings."""
    hop = await relay(WHO.encode(), tls=server_tls("127.0.0.1"))
    client = make()
    for shop, own in ((await answers(OK), TLS()), (await answers(OK, tls=server_tls("shop.test")), trusted)):
        proxy = Proxy(hop.origin, authorization=WHO, tls=trusted)
        request = get(url_of(shop), proxy, tls=own)
        responses = [await client.send(request) for _ in range(2)]
        assert [(one.status, one.text, one.message) for one in responses] == [(200, "hello", "")] * 2
        assert len(shop.requests) == 2
    untrusted = await client.send(get(url_of(shop), Proxy(hop.origin), tls=trusted))
    assert (untrusted.error, "the proxy" in untrusted.message) == (Failure.TLS, True)
    inner = await client.send(get(url_of(shop), Proxy(hop.origin, authorization=WHO, tls=trusted)))
    assert (inner.error, "the proxy" in inner.message) == (Failure.TLS, False)


async def test_what_needs_no_proxy_is_reached_without(answers, relay, make):
    """A host that `noProxy` covers is asked for a path, and is told no credentials."""
    shop, hop = await answers(OK), await relay()
    proxy = Proxy(hop.origin, NoProxy(["shop.test"]), WHO)
    assert (await make().send(get(url_of(shop, path="/a"), proxy))).status == 200
    assert (hop.connections, shop.lines) == (0, ["GET /a HTTP/1.1"])
    assert b"roxy" not in shop.requests[0]


async def test_redirects_go_as_their_host_does(answers, relay, make, server_tls, trusted):
    """From behind the proxy to a host without, to one behind it again, and from http to https."""
    hop = await relay(WHO.encode())
    proxy = Proxy(hop.origin, NoProxy(["inside.test"]), WHO)
    last = await answers(OK, tls=server_tls("shop.test"))
    inside = await answers(to(url_of(last, path="/last")))
    first = await answers(to(url_of(inside, "inside.test")))
    client = make(names=Names(shop_test=[["127.0.0.1"]], inside_test=[["127.0.0.1"]]))
    response = await client.send(get(url_of(first), proxy, tls=trusted))
    assert (response.status, [one.status for one in response.hops]) == (200, [302, 302])
    assert hop.lines == [f"GET {url_of(first)} HTTP/1.1", f"CONNECT shop.test:{last.origin.port} HTTP/1.1"]
    assert inside.lines == ["GET / HTTP/1.1"]
    assert not any(b"proxy-" in request.lower() for peer in (first, inside, last) for request in peer.requests)


REFUSALS = {
    b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n": "wants other credentials (407)",
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops": "its answer is 502",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n": "its answer is 403",
    b"HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\n\r\n": "its answer is 302",
    b"HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\n": "doesn't answer in HTTP/1.1",
    b"SSH-2.0-OpenSSH_9.6\r\n\r\n": "doesn't answer in HTTP/1.1",
    b"HTTP/1.1 20": "closed the connection in place of a tunnel",
    b"": "closed the connection in place of a tunnel",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000: "larger than 16384 bytes",
    b"HTTP/1.1 200 OK\r\n\r\nI speak first": "sent more than an answer",
}


@pytest.mark.parametrize("answer", REFUSALS)
@pytest.mark.parametrize("secure", [False, True])
async def test_a_proxy_that_opens_no_tunnel_is_a_failure_of_its_own(
    answer, secure, answers, serve, make, server_tls, trusted
):
    """Whatever it does in place of that, the kind is `proxy`, the message says what, and nothing reaches the target."""

    async def refuse(peer, reader, writer):
        peer.requests.append(await read_request(reader))
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    shop, hop = await answers(OK), await serve(refuse, tls=server_tls("127.0.0.1") if secure else None)
    proxy = Proxy(hop.origin, authorization=WHO, tls=trusted)
    response = await make().send(get(f"https://shop.test:{shop.origin.port}/", proxy))
    assert (response.error, response.status, response.sent, response.tls) == (Failure.PROXY, 0, 0, 0)
    assert REFUSALS[answer] in response.message
    assert "the proxy 127.0.0.1" in response.message
    assert WHO.split()[1] not in response.message
    assert shop.connections == 0


async def test_what_a_proxy_says_of_an_http_target_is_an_answer(answers, make):
    """A 407 or a 502 comes as any status does: of the latter nobody can tell whose it is."""
    hop = await answers(b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n")
    response = await make().send(get("http://shop.test/", Proxy(hop.origin)))
    assert (response.status, response.error) == (407, None)


async def test_a_proxy_that_is_not_there_is_named(make, serve):
    """No connection is a failure of connecting, whose message tells the proxy from the target."""

    async def never(peer, reader, writer):
        raise AssertionError

    hop = await serve(never)
    port = hop.origin.port + 1 if hop.origin.port < 65535 else 1
    response = await make().send(get("https://shop.test/", Proxy(hop.origin._replace(port=port))))
    assert response.error is Failure.CONNECT
    assert response.message.startswith(f"shop.test by the proxy 127.0.0.1:{port}: ")


@pytest.mark.parametrize("secure", [False, True])
async def test_waiting_for_a_tunnel_is_connecting(secure, serve, make, server_tls, trusted):
    """A proxy that says nothing is out of time by the limit on connecting, and its connection is closed."""
    ended = asyncio.Event()

    async def stall(peer, reader, writer):
        await read_request(reader)
        await reader.read()
        ended.set()

    hop = await serve(stall, tls=server_tls("127.0.0.1") if secure else None)
    response = await make().send(get("https://shop.test/", Proxy(hop.origin, tls=trusted), connect=0.2))
    assert response.error is Failure.TIMEOUT
    assert response.message.startswith("no connection to shop.test by the proxy 127.0.0.1")
    assert response.connecting >= 150_000
    assert response.tls == 0
    async with asyncio.timeout(5):
        await ended.wait()


async def test_a_tunnel_that_is_given_up_leaves_nothing(serve, make):
    """Cancelled while the proxy is asked, the connection is closed."""
    asked, ended = asyncio.Event(), asyncio.Event()

    async def stall(peer, reader, writer):
        await read_request(reader)
        asked.set()
        await reader.read()
        ended.set()

    hop = await serve(stall)
    sending = asyncio.ensure_future(make().send(get("https://shop.test/", Proxy(hop.origin))))
    await asked.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    async with asyncio.timeout(5):
        await ended.wait()


async def test_a_kept_tunnel_that_the_proxy_closed_is_made_anew(answers, serve, make, server_tls, trusted):
    """A request that meets a tunnel's end before any answer goes once more, through another."""
    shop = await answers(OK, tls=server_tls("shop.test"))
    hop = await serve(Relaying())
    client = make()
    request = get(url_of(shop), Proxy(hop.origin), tls=trusted)
    assert (await client.send(request)).status == 200
    hop.writers[0].transport.abort()
    await until(lambda: client._network.open_connections == 0)
    assert (await client.send(request)).status == 200
    assert hop.connections == 2


async def test_load_goes_through_no_proxy_that_it_may_not_go_to(answers, make):
    """The proxy's own address is held to the rules like any other."""
    hop = await answers(OK)
    client = make(Gate(Targets(["shop.test", "127.0.0.2"])))
    response = await client.send(get("http://shop.test/", Proxy(hop.origin)))
    assert (response.error, hop.connections) == (Failure.DENIED, 0)
    assert "127.0.0.1" in response.message


@pytest.mark.parametrize(
    ("rules", "host", "answers_to_us", "kind"),
    [
        (["127.0.0.1", "shop.test"], "shop.test", None, None),
        (["127.0.0.1", "*.test"], "shop.test", None, None),
        (["127.0.0.1", "10.0.0.0/8"], "shop.test", ["10.0.0.1", "10.9.9.9"], None),
        (["127.0.0.1", "10.0.0.0/8"], "10.1.1.1", None, None),
        ([], "shop.test", ["10.0.0.1"], None),
        (["127.0.0.1", "10.0.0.0/8"], "shop.test", ["10.0.0.1", "11.0.0.1"], Failure.DENIED),
        (["127.0.0.1", "10.0.0.0/8"], "11.1.1.1", None, Failure.DENIED),
        ([], "shop.test", ["10.0.0.1", "169.254.169.254"], Failure.DENIED),
        ([], "169.254.169.254", None, Failure.DENIED),
        (["127.0.0.1", "10.0.0.0/8"], "shop.test", None, Failure.DNS),
        ([], "shop.test", None, Failure.DNS),
        ([], "shop.test", [], Failure.DNS),
    ],
)
async def test_a_host_behind_a_proxy_is_judged_by_its_name_or_by_all_its_addresses(
    rules, host, answers_to_us, kind, answers, make
):
    """Named by a rule it isn't looked up; else every address that our own look-up knows must be allowed."""
    hop = await answers(OK)
    asked = []

    async def resolve(name, port):
        asked.append(name)
        if answers_to_us is None:
            raise OSError("unknown")
        return await Names(shop_test=[answers_to_us])(name, port)

    response = await make(Gate(Targets(rules)), resolve).send(get(f"http://{host}/", Proxy(hop.origin)))
    assert response.error is kind, response.message
    assert (response.status, hop.connections) == ((200, 1) if kind is None else (0, 0))
    assert bool(asked) is (host == "shop.test" and not any("test" in rule for rule in rules))


async def test_a_policy_on_families_hides_no_address_from_the_judgement(answers):
    """What only the proxy would take is judged too."""
    hop = await answers(OK)
    names = Names(shop_test=[["127.0.0.1", "fd00:ec2::254"]])
    network = Network(resolve=names, dns=Dns(policy="onlyIPv4"))
    client = Client(network)
    assert (await client.send(get("http://shop.test/", Proxy(hop.origin)))).error is Failure.DENIED
    client.close()
    network.close()


async def test_a_websocket_goes_through_a_tunnel(serve, relay, make):
    """Plain http is asked for by CONNECT too where a WebSocket is wanted, and the proxy sees no upgrade."""

    async def refuse(peer, reader, writer):
        peer.requests.append(await read_request(reader))
        writer.write(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")

    shop, hop = await serve(refuse), await relay()
    request = get(url_of(shop), Proxy(hop.origin, tunnels=True))

    async def talk(socket):
        raise AssertionError

    response = await converse(make().opening(request), [], talk, 1000)
    assert response.status == 400
    assert hop.lines == [f"CONNECT shop.test:{shop.origin.port} HTTP/1.1"]
    assert shop.lines == ["GET / HTTP/1.1"]
    assert b"Upgrade: websocket" in shop.requests[0]


def test_credentials_show_nowhere():
    """A proxy is printed without what it is told."""
    origin, _ = locate("http://proxy.test:3128")
    assert "Basic" not in repr(Proxy(origin, authorization=WHO))
    assert "Basic" not in repr(Options(proxy=Proxy(origin, authorization=WHO)))
