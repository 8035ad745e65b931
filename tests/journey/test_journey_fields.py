"""What a Python journey's requests may have beside a body and headers, on a real server made with aiohttp."""

import asyncio
import hashlib

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from journey_samples import plan_of, play_script

from loadgate.plan.document import PlanTarget, PlanTimeouts
from loadgate_runner.http import Failure, Network
from loadgate_runner.journey import Outcome


async def upload(request):
    """Says what came as a body."""
    body = await request.read()
    seen = {
        name: request.headers.get(name)
        for name in ("Content-Type", "Expect", "Accept-Encoding", "Host", "Content-Length")
    }
    return web.json_response({"digest": hashlib.sha256(body).hexdigest(), "size": len(body), **seen})


async def form(request):
    """Says what parts came."""
    parts = []
    async for part in await request.multipart():
        body = await part.read()
        parts.append([part.name, part.filename, part.headers.get("Content-Type"), len(body), body[:20].decode()])
    return web.json_response(parts)


async def slow(_request):
    """Answers after a while."""
    await asyncio.sleep(1)
    return web.Response()


async def away(_request):
    """Leads to the upload."""
    raise web.HTTPFound("/upload")


@pytest.fixture
async def journey(tmp_path):
    """Runs one iteration of a Python journey; gives the recorder, how it ended, the log and the variables."""
    network = Network()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/upload", upload)
    app.router.add_post("/form", form)
    app.router.add_get("/slow", slow)
    app.router.add_get("/away", away)
    async with TestServer(app) as server:

        async def run(body, url=None, **target):
            code = "from pathlib import Path\nHERE = Path(__file__).parent\nasync def journey(user):\n"
            (tmp_path / "j.py").write_text(code + "\n".join(f"    {line}" for line in body.strip("\n").splitlines()))
            url = url or str(server.make_url("")).rstrip("/")
            plan = plan_of(script="j.py", target=PlanTarget(url=url, timeouts=PlanTimeouts(total=20), **target))
            return await play_script(plan, tmp_path, network)

        yield run
    network.close()


@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_a_file_is_a_body_whatever_its_size(journey, tmp_path, size):
    """A small one goes with the head, a large one is read as it is sent; its type is its name's unless a header says so."""
    data = b"abc" * size
    (tmp_path / "a.json").write_bytes(data)
    _, outcome, log, found = await journey("""
for number in range(2):
    reply = await user.put("/upload", body=HERE / "a.json", compressed=False, host="other")
    user.vars["seen"] = reply.json()
own = await user.post("/upload", body=HERE / "a.json", headers={"Content-Type": "x/y"}, expect_continue="5s")
user.vars["own"] = own.json()
""")
    assert outcome is Outcome.COMPLETED, log
    assert found["seen"] == {
        "digest": hashlib.sha256(data).hexdigest(), "size": 3 * size, "Content-Type": "application/json", "Expect": None,
        "Accept-Encoding": None, "Host": "other", "Content-Length": str(3 * size),
    }  # fmt: skip
    assert (found["own"]["Content-Type"], found["own"]["Expect"], found["own"]["size"]) == (
        "x/y",
        "100-continue",
        3 * size,
    )
    assert found["own"]["Accept-Encoding"].startswith("gzip")


async def test_a_body_in_memory_waits_to_be_asked_for(journey):
    """Text, bytes, JSON and forms alike; what there is none of can't wait."""
    _, outcome, log, found = await journey("""
user.vars["seen"] = [
    (await user.post("/upload", expect_continue=2, **body)).json("$.Expect")
    for body in ({"json": {}}, {"body": "text"}, {"body": b"bytes"}, {"form": {"a": 1}}, {"multipart": {"a": "b"}})
]
await user.post("/upload", expect_continue=2)
""")
    assert outcome is Outcome.FAILED
    assert "there is none" in log[0]
    assert found["seen"] == ["100-continue"] * 5


@pytest.mark.parametrize("size", [10, 1_000_000])
async def test_a_form_has_parts_of_every_kind(journey, tmp_path, size):
    """Texts, bytes, files, and files by another name and type; one name may have several."""
    (tmp_path / "p.png").write_bytes(b"p" * size)
    _, outcome, log, found = await journey("""
user.vars["parts"] = (await user.post("/form", multipart={
    "text": "ü", "number": 5, "bytes": b"b", "file": HERE / "p.png",
    "named": ("q.txt", "content"), "typed": ("r", HERE / "p.png", "image/x"),
})).json()
user.vars["more"] = (await user.post("/form", multipart=[("a", "1"), ("a", "2")])).json()
""")
    assert outcome is Outcome.COMPLETED, log
    start = "p" * min(size, 20)
    assert found["parts"] == [
        ["text", None, None, 2, "ü"], ["number", None, None, 1, "5"], ["bytes", None, None, 1, "b"],
        ["file", "p.png", "image/png", size, start], ["named", "q.txt", "text/plain", 7, "content"],
        ["typed", "r", "image/x", size, start],
    ]  # fmt: skip
    assert [part[3:] for part in found["more"]] == [[1, "1"], [1, "2"]]


async def test_time_limits_may_be_said_by_part(journey):
    """A first byte that is late is a timeout, though the whole may take longer."""
    _, outcome, log, found = await journey("""
user.vars["late"] = (await user.get("/slow", timeout={"first_byte": "50ms", "total": 10})).error
user.vars["soon"] = (await user.get("/slow", timeout={"total": "10s", "connect": 1})).error
""")
    assert outcome is Outcome.COMPLETED, log
    assert found == {"late": str(Failure.TIMEOUT), "soon": None}


async def test_redirects_are_followed_as_often_as_is_said(journey):
    """None at all is an answer, too few are a failure."""
    _, outcome, log, found = await journey("""
for most in (0, 1, None):
    reply = await user.get("/away", max_redirects=most)
    user.vars[str(most)] = (reply.status, reply.error)
""")
    assert outcome is Outcome.COMPLETED, log
    assert found == {"0": (302, None), "1": (200, None), "None": (200, None)}


async def test_trailers_are_kept_where_they_are_asked_for(journey):
    """What stands behind the body is the reply's, and a check's, for requests that want it."""

    async def serve(reader, writer):
        while b"\r\n" in (head := await reader.readuntil(b"\r\n\r\n")):
            heads.append(head)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 5\r\n\r\n")
            if len(heads) == 2:
                break
        writer.close()

    heads = []
    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    recorder, outcome, log, found = await journey(
        """
reply = await user.get("/", trailers=True)
user.check(reply, trailers={"x-sum": 5})
user.vars["with"] = reply.trailers.get("X-Sum")
user.vars["without"] = (await user.get("/")).trailers.get("x-sum")
""",
        url=f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}",
    )
    listener.close()
    await listener.wait_closed()
    assert outcome is Outcome.COMPLETED, log
    assert found == {"with": "5", "without": None}
    assert recorder.checks() == {"trailer x-sum is 5": [True]}
    assert [b"TE: trailers" in head for head in heads] == [True, False]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("timeout={'whole': 1}", "has no part 'whole'"),
        ("timeout='soon'", "soon"),
        ("max_redirects=51", "up to 50"),
        ("max_redirects='many'", "up to 50"),
        ("host='a b'", "is no host"),
        ("host='a\\r\\nX: y'", "is no host"),
        ("body='x', expect_continue=0", "more than 0 seconds"),
        ("body=HERE / 'gone'", "can't be read"),
        ("body='x', multipart={}", "one of json, form, multipart and body"),
        ("multipart={'a': HERE}", ""),
    ],
)
async def test_a_field_that_does_not_fit_fails_the_iteration(journey, options, words):
    """What can't be sent as it is written is told, and nothing is sent."""
    recorder, outcome, log, _ = await journey(f"await user.post('/upload', {options})")
    assert outcome is Outcome.FAILED
    assert words in log[0]
    assert not any(recorder.requests().values())
