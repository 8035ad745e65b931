"""Digest authentication: RFC 7616's examples, a server that asks httpx, a real one, and how challenges are counted."""

import asyncio
import re
import shutil
from contextlib import contextmanager
from random import Random

import pytest
from digest_guard import PASSWORD, USER, Guard
from h2_peer import knowing, second
from server_process import free_port, serving

from loadgate_runner.http import Client, Failure, Options, Origin, Wish, listen, prepare
from loadgate_runner.http.digest import Digest, challenge_of
from loadgate_runner.http.stream import opened

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def answer(*challenges):
    """A 401's head."""
    lines = "".join(f"WWW-Authenticate: {one}\r\n" for one in challenges)
    return f"HTTP/1.1 401 Unauthorized\r\n{lines}\r\n".encode()


class Nonces:
    """Chance that a test knows."""

    def getrandbits(self, bits):
        """Half of it."""
        return 1 << (bits // 2)


def signer(peer, password=PASSWORD, user=USER):
    """A signer for a peer."""
    return Digest(peer.origin, user, password, Random(7))


def get(peer, by, path=b"/dir?x=1", **more):
    """A request."""
    return prepare("GET", peer.origin, path, signer=by, **more)


@pytest.mark.parametrize(
    ("algorithm", "hidden"),
    [
        ("SHA-256", "userhash=true, "),
        ("SHA-256", ""),
        ("MD5", ""),
    ],
)
def test_names_and_quotes_are_those_of_the_standard(algorithm, hidden):
    """Quotes stand where RFC 7616, 3.4 wants them and nowhere else; a name is hidden where the server takes that."""
    by = Digest(Origin("http", "h", 80), 'Jäsøn "Doe"' if hidden else 'a"b\\c', "Secret", Nonces())
    by.challenged(answer(f'Digest realm="api", qop="auth", {hidden}algorithm={algorithm}, nonce="n", opaque="o"'), b"")
    _, line = by.sign("GET", "h", b"/doe.json", b"", None)
    text = line.decode()
    user = "userhash=true" if hidden else r'username="a\"b\\c"'
    assert user in text
    assert f', realm="api", nonce="n", opaque="o", algorithm={algorithm}, qop=auth, cnonce="' in text
    assert ', uri="/doe.json", nc=00000001, response="' in text
    assert "Secret" not in text


def test_a_name_that_is_not_ascii_has_its_own_notation():
    """`username*` with UTF-8 (RFC 8187), where it isn't hidden."""
    by = Digest(Origin("http", "h", 80), "Jäsøn Doe", "x", Nonces())
    by.challenged(answer('Digest realm="api", qop="auth", charset=UTF-8, nonce="n"'), b"")
    assert b"username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, " in by.sign("GET", "h", b"/", b"", None)[1]


@pytest.mark.parametrize(
    ("challenges", "algorithm"),
    [
        (['Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"', 'Digest realm="r", nonce="m"'], "SHA-256"),
        (
            [
                'Digest realm="r", nonce="n", algorithm=SHA-512-256, qop="auth"',
                'Digest realm="r", nonce="m", algorithm=MD5',
            ],
            "MD5",
        ),
        (['Basic realm="x, y=z", Digest realm="r", nonce="n", algorithm=md5-sess, qop="auth-int,auth"'], "md5-sess"),
        (['Negotiate, NTLM dGVzdA==, digest nonce = "n" , realm="a\\"b",algorithm="MD5"'], "MD5"),
    ],
)
def test_the_first_challenge_that_is_known_is_answered(challenges, algorithm):
    """In the server's order, however they are spread over headers, beside other schemes."""
    assert challenge_of(answer(*challenges)).algorithm == algorithm


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Digest",
        'Basic realm="nonce=n"',
        'Digest realm="r"',
        'Digest realm="r", nonce="n", qop="auth-int"',
        'Digest realm="r", nonce="n", algorithm=SHA-1',
        f'Digest realm="r", nonce="{"n" * 3000}"',
        f"Digest {'a=' * 900}",
        'Digest nonce="' + "\\" * 2048,
        'Digest realm="r", nonce="n", algorithm=MD5-sess',
        '"' * 2000,
    ],
)
async def test_what_cannot_be_answered_is_the_answer(challenge, answers, client):
    """Other schemes, other algorithms, integrity of bodies alone, and challenges that are too long: one request, a 401."""
    peer = await answers(answer(challenge)[:-2] + b"Content-Length: 0\r\n\r\n")
    response = await client.send(get(peer, signer(peer)))
    assert (response.status, response.hops, len(peer.requests)) == (401, (), 1)


@pytest.mark.parametrize(
    ("algorithm", "qop"),
    [
        *((each, 'qop="auth, auth-int", ') for each in ("MD5", "MD5-sess", "SHA-256", "SHA-256-sess")),
        ("SHA-256", "qop=auth, "),
        ("MD5", ""),
        ("SHA-256", ""),
    ],
)
async def test_httpx_would_send_the_same(algorithm, qop, serve, network):
    """Every algorithm, with counts and without: one challenge for all VUs, and each request counted once."""
    guard = Guard(algorithm, qop=qop)
    peer = await serve(guard)
    by, clients = signer(peer), [Client(network) for _ in range(4)]
    request, posting = get(peer, by), prepare("POST", peer.origin, None, body=b"x", signer=by)
    first = await clients[0].send(request)
    assert (first.status, [hop.status for hop in first.hops]) == (200, [401])
    for _ in range(3):
        for response in await asyncio.gather(*(one.send(request) for one in clients)):
            assert (response.status, response.hops) == (200, ())
        assert (await clients[1].send(posting, path=b"/a%20b", body=b"y")).status == 200
    assert guard.seen == ["new", *["ok"] * 16]
    assert sorted(guard.counts["nonce-1"]) == (list(range(1, 17)) if qop else [1] * 16)
    for one in clients:
        one.close()


async def test_the_challenge_is_a_request_of_its_own(answers, client):
    """It is a hop as a redirect is: both have their times, one after the other, and the connection serves both."""
    peer = await answers(answer('Digest realm="r", nonce="n", qop="auth"')[:-2] + b"Content-Length: 0\r\n\r\n", OK)
    response = await client.send(get(peer, signer(peer)))
    (hop,) = response.hops
    assert (hop.status, hop.error, response.status, response.reused) == (401, None, 200, True)
    assert hop.started <= hop.ended <= response.started <= response.ended
    assert peer.connections == 1


async def test_virtual_users_that_begin_together_share_a_nonce(serve, network):
    """Each is asked once, as it began before anyone was; all then count on with the first nonce that came."""
    guard = Guard()
    peer = await serve(guard)
    by, clients = signer(peer), [Client(network) for _ in range(8)]
    for _ in range(2):
        assert {one.status for one in await asyncio.gather(*(each.send(get(peer, by)) for each in clients))} == {200}
    assert guard.seen.count("new") == 8
    used = [counts for counts in guard.counts.values() if counts]
    assert [sorted(counts) for counts in used] == [list(range(1, 17))]
    for one in clients:
        one.close()


@pytest.mark.parametrize("flags", [True, False])
async def test_a_nonce_that_is_used_up_is_replaced_within_the_request(flags, serve, network):
    """Whether or not the server says `stale`: one more request with the new nonce, and none fails."""
    guard = Guard(uses=5, flags=flags)
    peer = await serve(guard)
    by, client = signer(peer), Client(network)
    responses = [await client.send(get(peer, by)) for _ in range(20)]
    assert {one.status for one in responses} == {200}
    assert guard.seen.count("ok") == 20
    assert (guard.seen.count("new"), guard.seen.count("stale")) == (1, 3)
    assert sum(len(one.hops) for one in responses) == 4
    assert not guard.repeated
    client.close()


async def test_many_that_find_a_nonce_used_up_at_once(serve, network):
    """Those that were on their way with the old nonce go on with the new one that the first of them got."""
    guard = Guard(uses=30)
    peer = await serve(guard)
    by, clients = signer(peer), [Client(network) for _ in range(6)]
    for _ in range(20):
        assert {one.status for one in await asyncio.gather(*(each.send(get(peer, by)) for each in clients))} == {200}
    assert guard.seen.count("ok") == 120
    assert not guard.repeated
    assert guard.seen.count("stale") <= 6 * 4
    for one in clients:
        one.close()


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_wrong_password_is_not_tried_without_end(fresh, serve, client):
    """A request is answered once at most: with a nonce each time two requests, with the same nonce again but one."""
    guard = Guard(fresh=fresh, password="another")
    peer = await serve(guard)
    by = signer(peer)
    responses = [await client.send(get(peer, by)) for _ in range(3)]
    assert [one.status for one in responses] == [401] * 3
    assert [len(one.hops) for one in responses] == ([1, 1, 1] if fresh else [1, 0, 0])
    assert len(guard.seen) == (6 if fresh else 4)


async def test_redirects_and_challenges_together(serve, answers, client):
    """A redirect that is asked for credentials gets them, as its own request; limits on redirects count redirects only."""
    guard = Guard()
    inner = await serve(guard)
    moved = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
    guard.reply = moved
    by = signer(inner)
    response = await client.send(get(inner, by, options=Options(max_redirects=3)))
    assert (response.error, [hop.status for hop in response.hops]) == (Failure.REDIRECTS, [401, 302, 302, 302])
    guard.reply = OK
    other = await answers(
        b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % inner.origin.url(b"/x").encode()
    )
    fresh = signer(inner)
    response = await client.send(prepare("GET", other.origin, b"/", signer=fresh))
    assert (response.status, [hop.status for hop in response.hops]) == (200, [302, 401])
    assert b"Authorization" not in other.requests[0]


async def test_a_401_of_another_origin_is_no_challenge(serve, answers, client):
    """Credentials are for the target: what a redirect leads to may ask for them in vain."""
    guard = Guard()
    other = await serve(guard)
    peer = await answers(
        b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % other.origin.url(b"/x").encode()
    )
    response = await client.send(get(peer, signer(peer)))
    assert (response.status, [hop.status for hop in response.hops]) == (401, [302])
    assert guard.seen == ["new"]


async def test_without_redirects_a_challenge_is_answered_all_the_same(serve, client):
    """`maxRedirects: 0` is about redirects."""
    guard = Guard(reply=b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n")
    peer = await serve(guard)
    response = await client.send(get(peer, signer(peer), options=Options(max_redirects=0)))
    assert (response.status, [hop.status for hop in response.hops]) == (302, [401])


async def test_a_body_that_waits_to_be_asked_for_is_sent_once(serve, client):
    """The challenge comes in place of the 100, so the body goes out with the request that is let in."""
    guard, bodies = Guard(), []

    async def handler(peer, reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            found = re.search(rb"\r\nAuthorization: ([^\r]*)\r\n", head)
            what = guard.judge("PUT", "/dir", found and found[1].decode())
            guard.seen.append(what)
            if what == "ok":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                bodies.append(await reader.readexactly(5))
            writer.write(OK if what == "ok" else guard.refusal(what))

    peer = await serve(handler)
    request = prepare("PUT", peer.origin, b"/dir", body=b"whole", patience=5, signer=signer(peer))
    response = await client.deliver(request)
    assert (response.status, response.error, [hop.status for hop in response.hops]) == (200, None, [401])
    assert (guard.seen, bodies) == (["new", "ok"], [b"whole"])


async def test_a_401_without_a_signer_is_as_ever(serve, client):
    """It is the answer, and the next one that begins alike is known without being parsed."""
    guard = Guard(fresh=False)
    peer = await serve(guard)
    request = prepare("GET", peer.origin, b"/")
    found = [await client.send(request) for _ in range(2)]
    assert [(one.status, one.hops, one.plain) for one in found] == [(401, (), False), (401, (), True)]


async def test_over_http2(serve, network):
    """The same over HTTP/2."""
    guard = Guard()

    async def handler(connection):
        while (stream := await connection.ready.get()) is not None:
            fields = dict(connection.asked[stream])
            what = guard.judge(fields[":method"], fields[":path"], fields.get("authorization"))
            guard.seen.append(what)
            if what == "ok":
                await connection.answer(stream)
                continue
            told = guard.refusal(what).decode().partition("WWW-Authenticate: ")[2].partition("\r\n")[0]
            await connection.answer(stream, b"", 401, [("www-authenticate", told)])

    peer = await serve(second(handler))
    by, client = signer(peer), Client(network)
    responses = [await client.send(get(peer, by, options=knowing(peer.origin))) for _ in range(3)]
    assert [one.status for one in responses] == [200] * 3
    assert guard.seen == ["new", "ok", "ok", "ok"]
    client.close()


async def test_a_stream_is_opened_once_more(serve, client):
    """A stream of events that is challenged is asked for again, with the 401 as its hop; the next one isn't."""
    event = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n"
    guard = Guard(reply=event)
    peer = await serve(guard)
    request, wish = get(peer, signer(peer)), Wish(lambda _event, _moment: True, awaited=True)
    found = []
    for _ in range(2):
        opening = client.opening(request, b"/live", b"X-Own: 1\r\n")
        found.append(await opened(opening, lambda each: listen(each, wish)))
    assert [(one.status, one.body, [hop.status for hop in one.hops]) for one in found] == [
        (200, b"x", [401]),
        (200, b"x", []),
    ]
    assert guard.seen == ["new", "ok", "ok"]
    assert all(b"\r\nX-Own: 1\r\n" in each for each in peer.requests)


async def test_a_stream_that_stays_refused_is_opened_twice_at_most(serve, client):
    """Its 401 is what came of it."""
    guard = Guard(password="another")
    peer = await serve(guard)
    wish = Wish(lambda _event, _moment: True, awaited=True)
    response = await opened(client.opening(get(peer, signer(peer))), lambda each: listen(each, wish))
    assert (response.status, [hop.status for hop in response.hops]) == (401, [401])
    assert guard.seen == ["new", "wrong"]


LIGHTTPD = shutil.which("lighttpd") or shutil.which("lighttpd", path="/usr/local/sbin:/usr/sbin")


@contextmanager
def lighttpd(folder, algorithm):
    """A lighttpd that wants credentials, in a process of its own; its port."""
    port = free_port()
    (folder / "site").mkdir()
    (folder / "site" / "a b.txt").write_text("hi")
    (folder / "users").write_text(f"{USER}:{PASSWORD}\n")
    (folder / "lighttpd.conf").write_text(f"""
server.modules = ("mod_auth", "mod_authn_file")
server.document-root = "{folder}/site"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{folder}/log"
auth.backend = "plain"
auth.backend.plain.userfile = "{folder}/users"
auth.require = ("/" => ("method" => "digest", "realm" => "here", "require" => "valid-user", "algorithm" => "{algorithm}"))
""")
    with serving([LIGHTTPD, "-D", "-f", str(folder / "lighttpd.conf")], port):
        yield port


@pytest.mark.processes
@pytest.mark.skipif(
    LIGHTTPD is None, reason="NOT TESTED against a real digest server: install lighttpd, as make test does"
)
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_a_real_server_takes_it(algorithm, network, tmp_path):
    """A real lighttpd lets every request in but the first, and none with a wrong password."""
    with lighttpd(tmp_path, algorithm) as port:
        origin = Origin("http", "127.0.0.1", port)
        for password, statuses in ((PASSWORD, [200] * 5), ("wrong", [401] * 2)):
            by, client = Digest(origin, USER, password, Random(1)), Client(network)
            request = prepare("GET", origin, b"/a%20b.txt?x=1&y", signer=by, needs_body=True)
            found = [await client.send(request) for _ in statuses]
            assert [one.status for one in found] == statuses
            assert [hop.status for hop in found[0].hops] == [401]
            assert (found[-1].body == b"hi") is (password == PASSWORD)
            client.close()
