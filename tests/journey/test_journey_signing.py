"""What signs requests to the target: which of them are signed, which aren't, and what it is made of."""

import pytest
from journey_samples import Bench, an_answer, plan_of

from loadgate.api.auth import TargetAuth
from loadgate_runner.http import Client, Network, locate
from loadgate_runner.journey import JourneyError
from loadgate_runner.journey.credentials import signer_of, tokens_of

AWS = {
    "awsSigV4": {
        "region": "eu-central-1",
        "service": "execute-api",
        "accessKeyId": "AKID-${secret.id}",
        "secretAccessKey": "${secret.key}",
        "sessionToken": "${secret.key}/x",
    }
}
SECRETS = {"id": "LOADGATE_SECRET_id", "key": "LOADGATE_SECRET_key"}
ENVIRON = {"LOADGATE_SECRET_id": "one", "LOADGATE_SECRET_key": "hush"}


class FakeSigner:
    """Puts its mark on what it signs."""

    def __init__(self):
        self.origin = locate("http://shop")[0]
        self.answers = False

    def sign(self, method, host, path, headers, body):
        """Mark it."""
        return path, f"Authorization: {method} {host} {path.decode()} {body}\r\n".encode()

    def challenged(self, head, wire):
        """Refusals are final."""
        return False


def request(url="/", **more):
    """A step."""
    return {"request": {"name": "r", "url": url, **more}}


async def composed(bench):
    """What goes over the wire for what a virtual user sends in an iteration, the lines on who it is."""
    await bench.vu.iterate(0)
    found = []
    for sent in bench.client.sent:
        own = sent.headers[len(sent.prepared.headers) :]
        wire = sent.prepared.compose(sent.origin, sent.path, own, sent.body)
        found.append([line for line in wire.decode().split("\r\n") if line.lower().startswith("authorization")])
    return found


@pytest.mark.parametrize(
    ("step", "signed"),
    [
        (request(), "GET shop / None"),
        (request("/p/${vu.id}?q=${iteration}"), "GET shop /p/7?q=0 None"),
        (request("http://shop/whole"), "GET shop /whole None"),
        (request("http://${scenario}hop/x"), "GET shop /x None"),
        (request("/", host="api"), "GET api / None"),
        (request(method="POST", text="${vu.id}"), "POST shop / b'7'"),
        ({"graphql": {"url": "/graphql", "query": "{ a }"}}, """POST shop /graphql b'{"query":"{ a }"}'"""),
    ],
)
async def test_requests_to_the_target_are_signed(step, signed):
    """As they go out: method, host, path and body, known before or made each time."""
    assert await composed(Bench.steps(step, signer=FakeSigner())) == [[f"Authorization: {signed}"]]


@pytest.mark.parametrize(
    ("step", "found"),
    [
        (request("http://other/x"), []),
        (request("https://shop/x"), []),
        (request("http://${scenario}/x"), []),
        (request(auth={"none": True}), []),
        (request(auth={"bearer": "mine"}), ["Authorization: Bearer mine"]),
        (request(headers={"authorization": "Own"}), ["authorization: Own"]),
    ],
)
async def test_no_other_request_is_signed(step, found):
    """Other origins, and what says by itself who it is, or that it is nobody."""
    assert await composed(Bench.steps(step, signer=FakeSigner())) == [found]


async def test_without_signing_a_request_is_known_before():
    """What isn't signed is bytes when it is compiled, and stays so where a step opts out."""
    for signer, auth in ((None, None), (FakeSigner(), {"none": True})):
        bench = Bench.steps(request(**({"auth": auth} if auth else {})), signer=signer)
        await bench.vu.iterate(0)
        assert bench.client.sent[0].prepared.wire is not None
        assert bench.client.sent[0].prepared.signer is None


async def test_a_python_journey_is_signed_too(tmp_path):
    """Unless it says who it is, or `auth=False`, or goes elsewhere."""
    script = """
async def journey(user):
    await user.get("/a")
    await user.get("/b", auth="own")
    await user.get("/c", auth=False)
    await user.get("http://other/d")
    await user.post("/e", body="x")
    await user.get("/a")
"""
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "j.py").write_text(script)
    found = await composed(Bench(plan_of(script="c/j.py"), tmp_path=tmp_path, signer=FakeSigner()))
    assert found == [
        ["Authorization: GET shop /a None"],
        ["Authorization: Bearer own"],
        [],
        [],
        ["Authorization: POST shop /e b'x'"],
        ["Authorization: GET shop /a None"],
    ]


async def test_a_websocket_begins_with_a_signed_request():
    """The opening goes out with the signature of its moment."""
    network = Network()
    client = Client(network)
    bench = Bench.steps({"websocket": {"name": "w", "url": "/live", "steps": [{"expect": {}}]}}, signer=FakeSigner())
    opened = []

    def opening(*parts):
        opened.append(client.opening(*parts).wire)
        raise JourneyError("seen")

    bench.client.opening = opening
    await bench.vu.iterate(0)
    assert b"Authorization: GET shop /live None\r\n" in opened[0]
    network.close()


def plan_with(auth):
    """A plan whose target has an auth."""
    plan = plan_of(request(), secrets=SECRETS)
    target = plan.target.model_copy(update={"auth": TargetAuth.model_validate(auth)})
    return plan.model_validate_json(plan.model_copy(update={"target": target}).encode())


async def test_a_signer_is_made_of_the_manifest_and_its_secrets():
    """Texts are resolved once; the region and the service are in what is signed, and there is no token to be had."""
    plan = plan_with(AWS)
    context = Bench(plan, environ=ENVIRON).context
    network = Network()
    assert tokens_of(plan, context, network) is None
    network.close()
    signer = signer_of(plan, context, lambda: 1_440_938_160.0)
    _, lines = signer.sign("GET", "shop", b"/", b"", None)
    assert b"Credential=AKID-one/20150830/eu-central-1/execute-api/aws4_request, " in lines
    assert b"x-amz-security-token: hush/x\r\n" in lines
    assert b"x-amz-content-sha256" not in lines


async def test_digest_begins_without_a_challenge():
    """Its first request says nothing of who it is; with a challenge, the name is in it, and the password isn't."""
    plan = plan_with({"digest": {"username": "load-${secret.id}", "password": "${secret.key}"}})
    signer = signer_of(plan, Bench(plan, environ=ENVIRON).context, lambda: 0.0)
    assert (signer.origin, signer.answers) == (locate("http://shop")[0], True)
    assert signer.sign("GET", "shop", b"/a", b"", None) == (b"/a", b"")
    head = b'HTTP/1.1 401 U\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n\r\n'
    assert signer.challenged(head, b"GET /a HTTP/1.1\r\n\r\n")
    path, line = signer.sign("GET", "shop", b"/a", b"", None)
    assert path == b"/a"
    assert line.startswith(b'Authorization: Digest username="load-one", realm="r", nonce="n", ')
    assert b"hush" not in line


async def test_a_challenge_is_recorded_as_a_request_that_was_expected():
    """The 401 and the answer are two requests of the step's name, and neither has failed."""
    hop = an_answer(status=401)
    bench = Bench.steps(request(), answers=(an_answer(hops=(hop,)),), signer=FakeSigner())
    await bench.vu.iterate(0)
    assert [(response.status, expected) for response, expected, _ in bench.recorder.requests()["r"]] == [
        (401, True),
        (200, True),
    ]


async def test_what_a_signature_lacks_is_said_before_any_load():
    """A secret that isn't in the environment; a target without `auth` has no signer."""
    plan = plan_with(AWS)
    context = Bench(plan_of(request()), environ={}).context
    assert signer_of(plan_of(request()), context, lambda: 0.0) is None
    with pytest.raises(JourneyError, match="no value in the environment for secret"):
        signer_of(plan, context, lambda: 0.0)


@pytest.mark.parametrize(("value", "refused"), [("fixed", False), ("${vu.id}", True)])
def test_a_form_with_a_large_file_is_signed_where_it_is_the_same_each_time(value, refused, tmp_path):
    """Its signature is over the file too; one that is made anew each time would have to read it before each request."""
    (tmp_path / "large").write_bytes(b"x" * (256 << 10))
    parts = [{"name": "a", "value": value}, {"name": "b", "file": {"path": str(tmp_path / "large")}}]
    step = request(method="POST", multipart=parts)
    if not refused:
        Bench.steps(step, signer=FakeSigner())
        return
    with pytest.raises(JourneyError, match="can't be signed"):
        Bench.steps(step, signer=FakeSigner())
