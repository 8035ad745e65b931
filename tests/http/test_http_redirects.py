"""Redirects: followed within a bound, each hop a request of its own."""

import pytest

from loadgate_runner.http import Failure, Options, basic, prepare

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def to(location, status=302, extra=b""):
    """A redirect."""
    return b"HTTP/1.1 %d Moved\r\nLocation: %s\r\n%sContent-Length: 0\r\n\r\n" % (status, location, extra)


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        *((status, "POST", "GET") for status in (301, 302, 303)),
        *((status, "POST", "POST") for status in (307, 308)),
        *((status, "HEAD", "HEAD") for status in (301, 303, 307)),
        (303, "DELETE", "GET"),
        (307, "DELETE", "DELETE"),
        (302, "GET", "GET"),
    ],
)
async def test_the_status_decides_the_next_method(status, method, then, answers, client):
    """301, 302 and 303 turn into GET without a body, 307 and 308 keep both; HEAD stays HEAD."""
    ok = OK if then != "HEAD" else OK[:-5]
    peer = await answers(to(b"/next", status), ok)
    body = b"{}" if method == "POST" else None
    request = prepare(method, peer.origin, b"/first", body=body, content_type="application/json" if body else None)
    response = await client.send(request)
    assert (response.status, response.error, response.method) == (200, None, then)
    assert peer.lines == [f"{method} /first HTTP/1.1", f"{then} /next HTTP/1.1"]
    assert peer.requests[1].endswith(b"\r\n\r\n{}") is (then == "POST")
    assert (b"Content-Type: application/json" in peer.requests[1]) is (then == "POST")
    assert [(hop.status, hop.method) for hop in response.hops] == [(status, method)]
    assert (response.hops[0].url, response.url) == (peer.origin.url(b"/first"), peer.origin.url(b"/next"))
    assert peer.connections == 1


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (b"other", "/a/other"),
        (b"../up?x=1", "/up?x=1"),
        (b"?only=query", "/a/b?only=query"),
        (b"/abs#fragment", "/abs"),
        (b"/sp ace/\xc3\xbc", "/sp%20ace/%C3%BC"),
        (b"  /padded  ", "/padded"),
        (b"", "/a/b?q=1"),
    ],
)
async def test_locations_may_be_relative(location, line, answers, client):
    """A `Location` is resolved against the request's URL."""
    peer = await answers(to(location), OK)
    response = await client.send(prepare("GET", peer.origin, b"/a/b?q=1"))
    assert response.status == 200
    assert peer.lines[1] == f"GET {line} HTTP/1.1"


async def test_dynamic_parts_go_along(answers, client):
    """Headers and a body that were given for this sending are those of the redirected request, too."""
    peer = await answers(to(b"/next", 307), OK)
    await client.send(prepare("POST", peer.origin, None), path=b"/x", headers=b"X-Own: 1\r\n", body=b"given")
    assert b"\r\nX-Own: 1\r\n" in peer.requests[1]
    assert peer.requests[1].endswith(b"\r\n\r\ngiven")


async def test_credentials_stay_with_their_origin(answers, client):
    """To another origin go no Authorization, no explicit Cookie, no overridden Host; within one they go along."""
    other = await answers(OK)
    peer = await answers(to(b"/same"), to(other.origin.url(b"/there").encode()))
    headers = [("Authorization", basic("me", "secret")), ("Cookie", "own=1"), ("X-Kept", "1")]
    request = prepare("GET", peer.origin, b"/", headers=headers, options=Options(host="shop.example"))
    response = await client.send(request)
    assert (response.status, len(response.hops)) == (200, 2)
    assert b"Authorization" in peer.requests[1]
    assert b"Host: shop.example\r\n" in peer.requests[1]
    assert b"Authorization" not in other.requests[0]
    assert b"Cookie" not in other.requests[0]
    assert f"Host: 127.0.0.1:{other.origin.port}\r\n".encode() in other.requests[0]
    assert b"X-Kept: 1" in other.requests[0]


async def test_cookies_set_on_the_way_are_sent_on(answers, client):
    """A login that sets its cookie on a redirect works."""
    peer = await answers(to(b"/home", extra=b"Set-Cookie: session=1\r\n"), OK)
    await client.send(prepare("POST", peer.origin, b"/login"))
    assert b"\r\nCookie: session=1\r\n" in peer.requests[1]


async def test_a_loop_ends_at_the_bound(answers, client):
    """More redirects than allowed are a failure that counts every hop."""
    peer = await answers(to(b"/again"))
    response = await client.send(prepare("GET", peer.origin, b"/", options=Options(max_redirects=3)))
    assert (response.error, response.status) == (Failure.REDIRECTS, 302)
    assert len(response.hops) == 3
    assert len(peer.requests) == 4
    assert "3 redirects" in response.message


async def test_without_following_a_redirect_is_the_answer(answers, client):
    """With a bound of 0 it is no failure."""
    peer = await answers(to(b"/next"))
    request = prepare("GET", peer.origin, b"/", options=Options(max_redirects=0), needs_headers=True)
    response = await client.send(request)
    assert (response.status, response.error, response.hops) == (302, None, ())
    assert response.headers.get("Location") == "/next"


@pytest.mark.parametrize("location", [b"ftp://x/", b"https://", b"http://[::1", b"mailto:me@x", b"http://h:99999/"])
async def test_a_redirect_to_nowhere_is_a_failure(location, answers, client):
    """A location that can't be requested fails that request."""
    peer = await answers(to(location))
    response = await client.send(prepare("GET", peer.origin, b"/"))
    assert (response.error, response.status) == (Failure.REDIRECTS, 302)
    assert "nowhere" in response.message


async def test_a_redirect_without_location_is_the_answer(answers, client):
    """Where there is nowhere to go, the answer stands."""
    peer = await answers(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")
    response = await client.send(prepare("GET", peer.origin, b"/"))
    assert (response.status, response.error) == (302, None)


async def test_what_fails_on_the_way_fails_the_request(answers, client):
    """The failure is the last response's; the hops before it were answers."""
    peer = await answers(to(b"http://nothing.invalid/"))
    response = await client.send(prepare("GET", peer.origin, b"/"))
    assert (response.error, response.status) == (Failure.DNS, 0)
    assert [(hop.status, hop.error) for hop in response.hops] == [(302, None)]


async def test_the_hops_times_follow_one_another(answers, client):
    """Each hop has its own time; together they are no longer than the whole."""
    peer = await answers(to(b"/1"), to(b"/2"), OK)
    response = await client.send(prepare("GET", peer.origin, b"/"))
    moments = [moment for one in (*response.hops, response) for moment in (one.started, one.ended)]
    assert moments == sorted(moments)
    assert [one.sent for one in (*response.hops, response)] == [len(request) for request in peer.requests]
