"""AWS signatures: the published examples, AWS's own signer over anything else, and what goes over a connection."""

from datetime import UTC, datetime

import pytest
from aws_verifier import expected
from h2_peer import echo, knowing, second
from http_peers import read_request
from hypothesis import given
from hypothesis import strategies as st

from loadgate_runner.http import Client, Content, Options, StoredFile, locate, prepare
from loadgate_runner.http.sigv4 import Credentials, SigV4

SUITE = {"key_id": "AKIDEXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
S3 = {"key_id": "AKIAIOSFODNN7EXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
BUCKET = "https://examplebucket.s3.amazonaws.com"
EXAMPLE = "https://example.amazonaws.com"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


def at(text):
    """Seconds since 1970 of a moment like 20150830T123600Z."""
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


class Signs:
    """A signer, and the clock that it goes by."""

    def __init__(self, url, service="service", keys=SUITE, now="20150830T123600Z", token="", **more):
        self.origin, self.path = locate(url)
        self.now = at(now)
        self.service, self.keys = service, keys
        self.signer = SigV4(
            self.origin, Credentials(keys["key_id"], keys["secret"], token), region="us-east-1", service=service,
            now=lambda: self.now, **more,
        )  # fmt: skip

    def sign(self, method="GET", headers=b"", body=None, path=None):
        """The path as sent, and all headers as pairs."""
        sent, lines = self.signer.sign(method, self.origin.authority, path or self.path, headers, body)
        return sent.decode(), [("Host", self.origin.authority), *pairs(headers + lines)]

    def agreed(self, method, path, headers, body):
        """What AWS's signer says to what was sent."""
        return expected(method, path, headers, body, region="us-east-1", service=self.service, **self.keys)


def pairs(lines):
    """Header lines as names and values."""
    return [tuple(part.strip() for part in line.split(":", 1)) for line in lines.decode().split("\r\n") if line]


def authorization(headers):
    """The header of that name."""
    return dict(headers)["Authorization"]


@pytest.mark.parametrize(
    ("url", "how", "method", "headers", "body", "signature"),
    [
        (EXAMPLE, {}, "GET", b"", None, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (EXAMPLE, {}, "POST", b"", None, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            f"{EXAMPLE}/?Param2=value2&Param1=value1",
            {},
            "GET",
            b"",
            None,
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            EXAMPLE,
            {},
            "POST",
            FORM,
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
            {"service": "iam"},
            "GET",
            b"Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n",
            None,
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
        (
            f"{BUCKET}/test.txt",
            {"service": "s3"},
            "GET",
            b"Range: bytes=0-9\r\n",
            None,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            f"{BUCKET}/test$file.text",
            {"service": "s3"},
            "PUT",
            b"Date: Fri, 24 May 2013 00:00:00 GMT\r\nx-amz-storage-class: REDUCED_REDUNDANCY\r\n",
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            f"{BUCKET}/?lifecycle",
            {"service": "s3"},
            "GET",
            b"",
            None,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            f"{BUCKET}/?max-keys=2&prefix=J",
            {"service": "s3"},
            "GET",
            b"",
            None,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_published_examples(url, how, method, headers, body, signature):
    """AWS's test suite, the IAM User Guide's request and those of S3's reference come to the signatures that are printed there."""
    of_s3 = {"keys": S3, "now": "20130524T000000Z"} if how.get("service") == "s3" else {}
    _, found = Signs(url, **how, **of_s3).sign(method, headers, body)
    assert authorization(found).endswith(f"Signature={signature}")


PARTS = st.text(st.sampled_from("aZ9~/.%&=+?:@$ é-_,;*'()!"), max_size=24)


@given(
    path=PARTS,
    query=PARTS,
    service=st.sampled_from(["s3", "s3express", "execute-api", "vpc-lattice-svcs", "aoss"]),
    token=st.sampled_from(["", "TOKEN/a+b="]),
    body=st.sampled_from([None, b"", b"x=1", bytes(70_000)]),
    day=st.integers(0, 20_000),
    unsigned=st.booleans(),
)
def test_aws_own_signer_agrees(path, query, service, token, body, day, unsigned):
    """Whatever a path and a query hold, on any day, for services of both kinds: AWS's signer comes to the same header."""
    signs = Signs(f"https://host.example/{path.replace('?', '')}?{query}", service, token=token, unsigned_body=unsigned and service != "execute-api")  # fmt: skip
    signs.now = day * 86_400 + 7
    headers = (
        b"Content-Type:  a/b;  c=d \r\nX-Amz-Meta-B: 2\r\nx-amz-meta-a: 1\r\nx-amz-meta-b:  3\r\nUser-Agent: u\r\n"
    )
    sent, found = signs.sign("PUT", headers, body)
    assert authorization(found) == signs.agreed("PUT", sent, found, body)


def test_what_is_sent_is_spelled_as_it_is_signed():
    """What could be read in two ways isn't sent: a space in a query is %20, and all but letters, digits and -._~ is encoded."""
    sent, _ = Signs("https://h.example/a+b/%2f@x/%7e?q=a+b&Q=%2B&flag").sign()
    assert sent == "/a%2Bb/%2F%40x/~?q=a%20b&Q=%2B&flag"


def test_a_key_is_of_one_day():
    """One signer over midnight signs as one that began on that day does, and back again."""
    signs = Signs(EXAMPLE, now="20150830T235959Z")
    for moment in ("20150830T235959Z", "20150831T000000Z", "20150831T000001Z", "20150830T235959Z"):
        signs.now = at(moment)
        _, found = signs.sign()
        assert dict(found)["x-amz-date"] == moment
        assert found == Signs(EXAMPLE, now=moment).sign()[1]


def test_secrets_are_not_shown():
    """Neither the key nor the session's token is in what a log may print."""
    shown = repr(Credentials("AKID", "hush", "quiet"))
    assert "AKID" in shown
    assert "hush" not in shown
    assert "quiet" not in shown


def received(request):
    """Method, path, headers and body of a request as a server read it."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, _, lines = head.partition(b"\r\n")
    method, path, _ = line.decode().split(" ")
    return method, path, pairs(lines), body


def local(peer, **more):
    """A signer for a peer on loopback."""
    return Signs(peer.origin.url(b"/"), "execute-api", **more)


async def test_each_sending_is_signed_anew(answers, client):
    """A request that is the same each time has each time the signature of its moment, and those that vary theirs."""
    peer = await answers(OK)
    signs = local(peer)
    same = prepare("GET", peer.origin, b"/a?b=c", signer=signs.signer)
    varies = prepare("POST", peer.origin, None, content_type="text/plain", signer=signs.signer)
    for _ in range(3):
        await client.send(same)
        await client.send(varies, path=b"/d%20e?f=g+h", headers=b"X-Amz-Target: t\r\n", body=b"body")
        signs.now += 1
    for number, request in enumerate(peer.requests):
        method, path, headers, body = received(request)
        assert authorization(headers) == signs.agreed(method, path, headers, body)
        assert ("x-amz-target" in authorization(headers)) is bool(number % 2)
    assert len({request for request in peer.requests if request.startswith(b"GET")}) == 3
    assert peer.connections == 1


async def test_the_host_that_is_signed_is_the_one_that_is_sent(answers, client):
    """With a `Host` of its own, that one; without, the origin's with its port."""
    peer = await answers(OK)
    signs = local(peer)
    for options in (None, Options(host="api.example")):
        await client.send(prepare("GET", peer.origin, b"/", options=options, signer=signs.signer))
        method, path, headers, body = received(peer.requests[-1])
        assert authorization(headers) == signs.agreed(method, path, headers, body)
    assert dict(headers)["Host"] == "api.example"


async def test_a_redirect_is_signed_for_where_it_leads(answers, client):
    """Within the origin the new path and method are signed; another origin sees no signature, no key id and no token."""
    other = await answers(OK)
    moved = b"HTTP/1.1 303 See Other\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"
    peer = await answers(moved % b"/next?x=1", moved % other.origin.url(b"/there").encode())
    signs = local(peer, token="quiet")
    response = await client.send(prepare("POST", peer.origin, b"/", body=b"{}", content_type="application/json", signer=signs.signer))  # fmt: skip
    assert (response.status, len(response.hops)) == (200, 2)
    for request in peer.requests:
        method, path, headers, body = received(request)
        assert authorization(headers) == signs.agreed(method, path, headers, body)
        assert request.count(b"Authorization:") == request.count(b"x-amz-date:") == 1
    assert peer.lines == ["POST / HTTP/1.1", "GET /next?x=1 HTTP/1.1"]
    assert not any(word in other.requests[0].lower() for word in (b"authorization", b"amz", b"quiet", b"akid"))


async def test_a_request_on_a_connection_that_was_closed_is_sent_again(serve, client):
    """It goes out once more as it was signed, and is taken."""

    async def handler(peer, reader, writer):
        peer.requests.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()
        if peer.connections > 1:
            await read_request(reader)

    peer = await serve(handler)
    signs = local(peer)
    request = prepare("GET", peer.origin, b"/", signer=signs.signer)
    assert [(await client.send(request)).status for _ in range(2)] == [200, 200]
    assert peer.connections == 2


async def test_http2_carries_the_same_signature(serve, network):
    """`:authority` is the host that was signed, and the fields are those of HTTP/1.1."""
    peer = await serve(second(echo))
    signs, client = local(peer), Client(network)
    request = prepare(
        "POST", peer.origin, b"/a/b?c=d", body=b"{}", content_type="application/json",
        options=knowing(peer.origin), signer=signs.signer,
    )  # fmt: skip
    assert [(await client.send(request)).status for _ in range(2)] == [200, 200]
    connection = peer.requests[0]
    assert len(connection.asked) == 2
    for stream, fields in connection.asked.items():
        known = dict(fields)
        headers = [("Host", known[":authority"]), *(field for field in fields if field[0][0] != ":")]
        agreed = signs.agreed(known[":method"], known[":path"], headers, connection.bodies[stream])
        assert known["authorization"] == agreed
    client.close()


async def test_a_body_that_waits_to_be_asked_for_is_signed(serve, client):
    """The head has the signature over the body, which follows it once it may: a body of the step, or of this time."""

    async def handler(peer, reader, writer):
        while head := (await reader.readuntil(b"\r\n\r\n")):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            peer.requests.append(head + await reader.readexactly(size))
            writer.write(OK)

    peer = await serve(handler)
    signs = local(peer)
    request = prepare("PUT", peer.origin, b"/a", body=b"prepared", signer=signs.signer, patience=5)
    for body in (None, b"of this time"):
        response = await client.deliver(request, body=body)
        assert (response.status, response.error) == (200, None)
        method, path, headers, came = received(peer.requests[-1])
        assert came == (body or b"prepared")
        assert authorization(headers) == signs.agreed(method, path, headers, came)


async def test_a_file_is_signed_as_its_bytes_would_be(tmp_path, serve, client):
    """The signature is over all of the file, which is read for it once and as it is sent."""
    path = tmp_path / "large"
    path.write_bytes(bytes(range(250)) * 1200)

    async def handler(peer, reader, writer):
        while head := (await reader.readuntil(b"\r\n\r\n")):
            peer.requests.append(head + await reader.readexactly(300_000))
            writer.write(OK)

    peer = await serve(handler)
    signs = local(peer)
    request = prepare("PUT", peer.origin, b"/a", body=Content(StoredFile(path)), signer=signs.signer)
    response = await client.deliver(request)
    assert (response.status, response.error) == (200, None)
    method, path, headers, came = received(peer.requests[-1])
    assert came == bytes(range(250)) * 1200
    assert authorization(headers) == signs.agreed(method, path, headers, came)
