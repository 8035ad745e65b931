"""Where load may go, as connections are held to it: over real servers on loopback, by names that a test resolves."""

import asyncio

import pytest
from http_peers import Names, read_request, until

from loadgate.plan import Targets
from loadgate_runner.http import Client, Failure, Gate, Network, Options, Origin, Timeouts, locate, prepare

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


def to(location):
    """A redirect."""
    return b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location.encode()


class Watching:
    """The gate, and how often it was told of a first denial."""

    def __init__(self, *rules):
        self.told = 0
        self.gate = Gate(Targets(rules), self.tell)

    def tell(self):
        self.told += 1


@pytest.fixture
async def make():
    """Makes clients that are held to a gate, with a resolver of the test's own."""
    made = []

    def make(gate, names=None):
        network = Network(gate=gate, resolve=names)
        made.append((network, Client(network)))
        return made[-1][1]

    yield make
    for network, client in made:
        client.close()
        await until(lambda network=network: network.open_connections == 0)
        network.close()


def get(url, **options):
    origin, path = locate(url)
    return prepare("GET", origin, path, options=Options(timeouts=Timeouts(total=5.0), **options))


def url_of(peer, host):
    return f"http://{host}:{peer.origin.port}/"


async def test_what_is_denied_is_a_failure_and_never_a_connection(answers, make):
    """A server that may not be reached sees nothing, and the response says why, at once."""
    peer = await answers(OK)
    watching = Watching("127.0.0.2")
    client = make(watching.gate)
    response = await client.send(get(url_of(peer, "127.0.0.1")))
    assert (response.error, response.status, response.connecting) == (Failure.DENIED, 0, 0)
    assert response.message == "load may not go to 127.0.0.1; it may go to 127.0.0.2"
    assert response.duration < 1_000_000
    assert peer.connections == 0
    assert (await client.send(get(url_of(peer, "127.0.0.1")))).error is Failure.DENIED
    assert (watching.gate.denied, watching.gate.first, watching.told) == (2, response.message, 1)


async def test_what_is_listed_is_reached(answers, make):
    """By address, by network and by name, nothing else is in the way."""
    peer = await answers(OK)
    for rules, host in ((["127.0.0.1"], "127.0.0.1"), (["127.0.0.0/8"], "127.0.0.1"), (["*.test"], "shop.test")):
        watching = Watching(*rules)
        client = make(watching.gate, Names(shop_test=[["127.0.0.1"]]))
        assert (await client.send(get(url_of(peer, host)))).status == 200
        assert watching.gate.denied == 0


async def test_a_name_is_judged_by_what_it_resolves_to_each_time(answers, make):
    """A name that comes to have another address is denied at the next connection; the one that stands goes on."""
    peer = await answers(OK, LAST, OK)
    names = Names(shop_test=[["127.0.0.1"], ["127.0.0.9"]])
    client = make(Gate(Targets(["127.0.0.1"])), names)
    request = get(url_of(peer, "shop.test"))
    assert [(await client.send(request)).error for _ in range(3)] == [None, None, Failure.DENIED]
    assert names.asked == ["shop.test"] * 2
    assert (peer.connections, len(peer.requests)) == (1, 2)


async def test_what_was_judged_is_what_is_connected_to(answers, make):
    """A name is asked once for each connection: no second answer can slip in behind the judgement."""
    peer = await answers(OK)
    names = Names(shop_test=[["127.0.0.1"], ["169.254.169.254"]])
    client = make(Gate(Targets(["127.0.0.0/8"])), names)
    assert (await client.send(get(url_of(peer, "shop.test")))).status == 200
    assert (names.asked, peer.connections) == (["shop.test"], 1)


async def test_only_what_is_allowed_of_an_answer_is_tried(answers, make):
    """Of several addresses those that load may not go to are left out, and the others tried in their order."""
    peer = await answers(OK)
    names = Names(shop_test=[["169.254.169.254", "127.0.0.9", "127.0.0.1"]])
    watching = Watching("127.0.0.1")
    client = make(watching.gate, names)
    assert (await client.send(get(url_of(peer, "shop.test")))).status == 200
    assert watching.gate.denied == 0


async def test_a_name_that_is_listed_opens_no_metadata_address(answers, make):
    """Whoever controls a listed name can't lead load to what a cloud trusts its machines with."""
    for address in ("169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1%lo"):
        client = make(Gate(Targets(["shop.test"])), Names(shop_test=[[address]]))
        response = await client.send(get("http://shop.test/"))
        assert response.error is Failure.DENIED, address
        assert "link-local" in response.message


@pytest.mark.parametrize(
    "where", ["http://169.254.169.254/latest", "http://[::ffff:169.254.169.254]/", "//169.254.169.254/"]
)
async def test_a_redirect_to_a_metadata_address_is_denied_by_default(where, answers, make):
    """Without any rule a redirect goes anywhere but there; the hop that led there is kept, its end is the failure."""
    peer = await answers(to(where))
    client = make(Gate())
    response = await client.send(get(url_of(peer, "127.0.0.1")))
    assert (response.error, len(response.hops), response.hops[0].status) == (Failure.DENIED, 1, 302)
    assert "169.254.169.254" in response.message


async def test_a_redirect_is_held_to_the_rules(answers, make):
    """From an allowed server to another name, another address and another port of the same one."""
    other = await answers(OK)
    for host, allowed in (("127.0.0.1", True), ("127.0.0.9", False), ("evil.test", False), ("shop.test", True)):
        peer = await answers(to(url_of(other, host)))
        client = make(
            Gate(Targets(["127.0.0.1", "shop.test"])), Names(evil_test=[["127.0.0.9"]], shop_test=[["127.0.0.1"]])
        )
        response = await client.send(get(url_of(peer, "127.0.0.1")))
        assert (response.error is None) is allowed, host
        assert response.error in {None, Failure.DENIED}


async def test_a_redirect_that_is_not_followed_is_an_answer(answers, make):
    """With no redirects wanted nothing is denied, since nothing is tried."""
    peer = await answers(to("http://169.254.169.254/"))
    watching = Watching()
    response = await make(watching.gate).send(get(url_of(peer, "127.0.0.1"), max_redirects=0))
    assert (response.status, response.error, watching.gate.denied) == (302, None, 0)


async def test_ipv6_and_mapped_addresses_are_the_addresses_they_stand_for(serve, make):
    """Over a real IPv6 server, and an IPv4 server reached through IPv6's form of its address."""

    async def handler(peer, reader, writer):
        while await read_request(reader):
            writer.write(OK)

    six, four = await serve(handler, host="::1"), await serve(handler)
    for rules, peer, host, allowed in (
        (["::1"], six, "[::1]", True),
        (["127.0.0.1"], six, "[::1]", False),
        (["127.0.0.1"], four, "[::ffff:127.0.0.1]", True),
        (["127.0.0.1"], four, "[::ffff:7f00:1]", True),
        (["::/0"], four, "[::ffff:127.0.0.1]", False),
        (["127.0.0.2"], four, "[::ffff:127.0.0.1]", False),
    ):
        response = await make(Gate(Targets(rules))).send(get(url_of(peer, host)))
        assert (response.error is None) is allowed, (rules, host, response.message)
        assert response.error in {None, Failure.DENIED}


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
async def test_forms_that_only_a_resolver_knows_are_judged_by_the_address(host, answers, make):
    """The system's resolver takes these for 127.0.0.1, so that is what is judged."""
    peer = await answers(OK)
    assert (await make(Gate(Targets(["127.0.0.1"]))).send(get(url_of(peer, host)))).status == 200
    assert (await make(Gate(Targets(["127.0.0.2"]))).send(get(url_of(peer, host)))).error is Failure.DENIED


async def test_a_request_that_is_repeated_on_a_new_connection_is_judged_anew(serve, make):
    """A kept connection that the peer closed is replaced by one to an allowed address, or by none."""

    async def handler(peer, reader, writer):
        peer.requests.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()
        await read_request(reader)
        writer.close()

    peer = await serve(handler)
    client = make(Gate(Targets(["127.0.0.1"])), Names(shop_test=[["127.0.0.1"], ["127.0.0.9"]]))
    request = get(url_of(peer, "shop.test"))
    assert (await client.send(request)).status == 200
    response = await client.send(request)
    assert (response.error, len(peer.requests)) == (Failure.DENIED, 1)


async def test_a_denial_costs_no_time(make):
    """It is no timeout: nothing is waited for, however long the limits are."""
    client = make(Gate(Targets(["127.0.0.1"])))
    async with asyncio.timeout(1):
        responses = [await client.send(get("http://192.0.2.1/")) for _ in range(50)]
    assert {response.error for response in responses} == {Failure.DENIED}


async def test_the_default_gate_reaches_anything_ordinary(answers, client):
    """A network that is given no rules reaches loopback as before."""
    peer = await answers(OK)
    assert (await client.send(prepare("GET", Origin("http", "localhost", peer.origin.port), b"/"))).status == 200
