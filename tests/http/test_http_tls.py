"""TLS with real handshakes: who is trusted, who we are, what a failure is called, and what it took."""

import asyncio
from dataclasses import replace

import pytest
import trustme
from http_peers import pump

from loadgate_runner.http import TLS, Failure, Options, Origin, Timeouts, prepare, tls_fault

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def trusting(authority):
    """Options that trust the tests' authority."""

    def build(**more):
        pem = authority.cert_pem.bytes().decode()
        host = more.pop("host", None)
        return Options(tls=TLS(ca=pem, **more), host=host)

    return build


async def test_a_trusted_server_is_spoken_to(answers, server_tls, trusting, client):
    """With its authority's certificate given, requests go through, handshakes are timed apart from TCP, once."""
    peer = await answers(OK, tls=server_tls("127.0.0.1"), pieces=1)
    request = prepare("GET", peer.origin, b"/", options=trusting(), needs_body=True)
    first, second = await client.send(request), await client.send(request)
    assert [one.body for one in (first, second)] == [b"hello"] * 2
    assert (first.reused, second.reused, peer.connections) == (False, True, 1)
    assert first.tls > 0
    assert first.connecting > 0
    assert second.tls == 0
    assert first.sent == len(peer.requests[0])
    assert first.received == len(OK)


@pytest.mark.parametrize("case", ["unknown authority", "another name", "no TLS at all", "hangs up"])
async def test_a_handshake_that_fails_is_a_tls_failure(case, answers, serve, server_tls, trusting, client):
    """The kind is `tls`, the message says why, and the VU goes on."""

    async def hang_up(peer, reader, writer):
        await reader.read(1)

    async def speak_plainly(peer, reader, writer):
        writer.write(OK)
        await writer.drain()
        await reader.read()

    if case in {"hangs up", "no TLS at all"}:
        peer = await serve(hang_up if case == "hangs up" else speak_plainly)
        peer.origin = peer.origin._replace(scheme="https")
    else:
        peer = await answers(OK, tls=server_tls("other.example" if case == "another name" else "127.0.0.1"))
    options = Options() if case == "unknown authority" else trusting()
    response = await client.send(prepare("GET", peer.origin, b"/", options=options))
    assert (response.error, response.status) == (Failure.TLS, 0)
    assert response.message
    assert response.tls > 0
    assert client._network.open_connections == 0


async def test_verification_can_be_switched_off(answers, server_tls, client):
    """`verify=False` takes any certificate for any name."""
    peer = await answers(OK, tls=server_tls("other.example"))
    response = await client.send(prepare("GET", peer.origin, b"/", options=Options(tls=TLS(verify=False))))
    assert (response.status, response.error) == (200, None)


@pytest.mark.parametrize("how", ["server_name", "host"])
async def test_the_servers_name_can_be_another_than_the_urls(how, answers, server_tls, trusting, client):
    """SNI and verification go by `server_name`, else by the `Host` override."""
    names = []
    context = server_tls("shop.example")
    context.sni_callback = lambda _, name, __: names.append(name)
    peer = await answers(OK, tls=context)
    response = await client.send(prepare("GET", peer.origin, b"/", options=trusting(**{how: "shop.example"})))
    assert (response.status, response.error) == (200, None)
    assert names == ["shop.example"]


async def test_a_client_certificate_is_presented(answers, server_tls, trusting, client):
    """A server that demands one accepts ours, and a request without one is a failure."""
    mine = trustme.CA()
    cert = mine.issue_cert("runner@loadgate.example")
    chain = "".join(pem.bytes().decode() for pem in cert.cert_chain_pems)
    key = cert.private_key_pem.bytes().decode()
    peer = await answers(OK, tls=server_tls("127.0.0.1", client_ca=mine))
    options = trusting(cert=chain, key=key)
    assert (await client.send(prepare("GET", peer.origin, b"/", options=options))).status == 200
    without = await client.send(prepare("GET", peer.origin, b"/", options=trusting()))
    assert without.error in {Failure.TLS, Failure.RESET}


async def test_a_new_connection_resumes_the_vus_session(answers, server_tls, trusting, client):
    """A VU that comes back offers its last session, so that the server may skip the certificate's part."""
    context = server_tls("127.0.0.1")
    peer = await answers(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", tls=context)
    request = prepare("GET", peer.origin, b"/", options=trusting())
    for _ in range(2):
        assert (await client.send(request)).status == 200
    resumed = [writer.get_extra_info("ssl_object").session_reused for writer in peer.writers]
    assert resumed == [False, True]


async def test_a_handshake_that_stalls_times_out(serve, trusting, client):
    """A server that accepts and says nothing runs into the TLS limit."""

    async def silent(peer, reader, writer):
        while await reader.read(1000):
            pass

    peer = await serve(silent)
    options = Options(timeouts=Timeouts(tls=0.05))
    response = await client.send(prepare("GET", peer.origin._replace(scheme="https"), b"/", options=options))
    assert response.error is Failure.TIMEOUT
    assert "TLS" in response.message
    assert 49_000 <= response.tls < 2_000_000


async def test_a_handshake_that_broke_off_leaves_no_session(answers, serve, server_tls, trusting, client):
    """The next connection begins anew, and isn't called a failure of TLS for what the one before it lacked."""
    peer = await answers(OK, tls=server_tls("127.0.0.1"))

    async def fickle(front, reader, writer):
        if front.connections > 1:
            inner, outer = await asyncio.open_connection(*peer.origin[1:])
            try:
                await asyncio.gather(pump(reader, outer), pump(inner, writer))
            finally:
                outer.transport.abort()
        await reader.read()

    front = await serve(fickle)
    options = replace(trusting(), timeouts=Timeouts(tls=0.2))
    request = prepare("GET", front.origin._replace(scheme="https"), b"/", options=options)
    assert [(await client.send(request)).error for _ in range(2)] == [Failure.TIMEOUT, None]


async def test_vus_share_one_context(answers, server_tls, trusting, network, client):
    """Equal settings are one context, however many VUs there are."""
    peer = await answers(OK, tls=server_tls("127.0.0.1"))
    other = type(client)(network)
    for vu in (client, other):
        assert (await vu.send(prepare("GET", peer.origin, b"/", options=trusting()))).status == 200
    assert len(network._contexts) == 1
    other.close()


async def test_a_body_over_tls_streams(answers, server_tls, trusting, client):
    """Megabytes both ways arrive whole."""
    body = bytes(range(256)) * 8000
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000)
    peer = await answers(reply, tls=server_tls("127.0.0.1"))
    request = prepare("POST", peer.origin, b"/", body=body, options=trusting(), needs_body=True)
    response = await asyncio.wait_for(client.send(request), 10)
    assert (response.error, response.size, len(response.body)) == (None, 1_000_000, 1_000_000)
    assert peer.requests[0].endswith(body)


def test_unusable_pem_is_said_before_any_load(authority):
    """Each way to get the settings wrong has a message; the right ones have none."""
    cert = authority.issue_cert("x.example")
    chain, key = cert.cert_chain_pems[0].bytes().decode(), cert.private_key_pem.bytes().decode()
    assert tls_fault(TLS()) is None
    assert tls_fault(TLS(cert=chain, key=key)) is None
    assert "tls.ca" in tls_fault(TLS(ca="no certificate"))
    assert "go together" in tls_fault(TLS(cert=chain))
    assert "go together" in tls_fault(TLS(key=key))
    assert "tls.cert and tls.key" in tls_fault(TLS(cert=chain, key="no key"))
    other = authority.issue_cert("y.example").private_key_pem.bytes().decode()
    assert "tls.cert and tls.key" in tls_fault(TLS(cert=chain, key=other))


async def test_unusable_pem_fails_requests_and_no_vu(client):
    """Where nobody asked beforehand, each request says it."""
    request = prepare("GET", Origin("https", "127.0.0.1", 1), b"/", options=Options(tls=TLS(ca="nonsense")))
    response = await client.send(request)
    assert (response.error, response.status) == (Failure.TLS, 0)
    assert "tls.ca" in response.message
