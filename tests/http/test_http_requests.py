"""Requests compiled to bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate_runner.http import TLS, Options, Origin, header_line, prepare
from loadgate_runner.http.headers import Headers, final_head

SHOP = Origin("http", "shop", 80)


def test_a_static_request_is_bytes_already():
    """All of a request, in order, with nothing left to do."""
    request = prepare("POST", SHOP, b"/cart?x=1", headers=[("X-A", "1")], content_type="a/b", body=b"{}")
    head, body = request.wire.split(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[:2] == [b"POST /cart?x=1 HTTP/1.1", b"Host: shop"]
    assert {b"X-A: 1", b"Content-Type: a/b", b"Content-Length: 2", b"Accept: */*"} < set(lines)
    assert b"Accept-Encoding: gzip, deflate, br, zstd" in lines
    assert body == b"{}"


def test_without_a_path_there_is_no_static_request():
    """A request whose path comes with each sending is composed then."""
    assert prepare("GET", SHOP, None).wire is None


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("GET", None, None),
        ("GET", b"x", b"1"),
        ("POST", None, b"0"),
        ("PUT", None, b"0"),
        ("PATCH", b"", b"0"),
        ("DELETE", None, None),
    ],
)
def test_a_length_is_said_where_it_is_expected(method, body, length):
    """With a body always, without one for methods that usually have one (RFC 9110, 8.6)."""
    assert Headers(prepare(method, SHOP, b"/", body=body).wire).get("content-length") == (length and length.decode())


def test_given_headers_win_over_our_own():
    """A header is sent once, as given; Host and Content-Length aren't a header's business."""
    given_headers = [("user-agent", "me"), ("ACCEPT", "a/b"), ("accept-encoding", "gzip"), ("Content-Type", "c/d"),
                     ("Host", "evil"), ("Content-Length", "999")]  # fmt: skip
    wire = prepare("POST", SHOP, b"/", headers=given_headers, content_type="x/y", body=b"b").wire
    headers = Headers(wire)
    expected = {"user-agent": "me", "accept": "a/b", "accept-encoding": "gzip", "content-type": "c/d", "host": "shop",
                "content-length": "1"}  # fmt: skip
    assert {name: headers.all(name) for name in expected} == {name: [value] for name, value in expected.items()}


def test_options_decide_host_and_compression():
    """The Host header can be another, and compression needn't be offered."""
    headers = Headers(prepare("GET", SHOP, b"/", options=Options(host="other.example:81", compressed=False)).wire)
    assert headers.get("host") == "other.example:81"
    assert "accept-encoding" not in headers
    assert "user-agent" not in Headers(prepare("GET", SHOP, b"/", changing={"user-agent"}).wire)


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "GÉT"])
def test_a_method_is_a_token(method):
    """What isn't one is refused while compiling."""
    with pytest.raises(ValueError, match="method"):
        prepare(method, SHOP, b"/")


@given(st.text(max_size=40))
def test_no_value_adds_a_header(value):
    """Whatever a header's value is, it stays within its line."""
    line = header_line("X-Value", value)
    assert line.startswith(b"X-Value: ")
    assert line.endswith(b"\r\n")
    assert line.count(b"\r") == line.count(b"\n") == 1
    assert b"\0" not in line


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\n", "ä"])
def test_a_headers_name_is_a_token(name):
    """What isn't one is refused."""
    if name.strip() == "a":
        assert header_line(name, "x") == b"a: x\r\n"
        return
    with pytest.raises(ValueError, match="name"):
        header_line(name, "x")


def test_what_shares_a_connection_has_one_key():
    """Plain requests share by origin, https by TLS settings too."""
    mine, other = Options(tls=TLS(server_name="a")), Options(tls=TLS(server_name="b"))
    secure = SHOP._replace(scheme="https")
    assert prepare("GET", SHOP, b"/", options=mine).key == prepare("POST", SHOP, b"/x", options=other).key
    assert prepare("GET", secure, b"/", options=mine).key != prepare("GET", secure, b"/", options=other).key
    assert (
        prepare("GET", secure, b"/", options=mine).key
        == prepare("GET", secure, b"/", options=Options(tls=TLS(server_name="a"))).key
    )


def test_headers_are_read_without_regard_to_case():
    """Names fold, several values join, order is kept, and nothing is there that wasn't sent."""
    headers = Headers(
        b"HTTP/1.1 200 OK\r\nA: 1\r\na:2\r\nSet-Cookie: x=1; Path=/\r\nSet-Cookie: y=2\r\nB: \xc3\xbc\r\nC: \xfc\r\n\r\nA: 3"
    )
    assert headers.get("A") == "1, 2"
    assert headers.all("a") == ["1", "2"]
    assert (headers.get("b"), headers.get("c")) == ("ü", "ü")
    assert headers.cookies == {"x": "1", "y": "2"}
    assert headers.get("nothing", "default") == "default"
    assert "A" in headers
    assert "D" not in headers
    assert list(headers)[:2] == [("a", "1"), ("a", "2")]
    assert len(headers) == 6
    assert len(Headers()) == 0


@given(st.lists(st.sampled_from([b"100", b"102", b"103"]), max_size=3), st.lists(st.integers(0, 200), max_size=5))
def test_the_final_head_is_found_behind_interim_ones(interim, cuts):
    """However much has come, and in which pieces, the final head is found once it is whole, and not before."""
    before = b"".join(b"HTTP/1.1 " + status + b" X\r\nA: b\r\n\r\n" for status in interim)
    final = b"HTTP/1.1 200 OK\r\nC: d\r\n\r\n"
    whole = before + final + b"body"
    start = searched = 0
    for cut in sorted(cuts):
        start, end = final_head(whole[:cut], start, max(0, searched - 3))
        assert end == (len(before) + len(final) if cut >= len(before) + len(final) else 0)
        assert not end or start == len(before)
        if end:
            break
        searched = min(cut, len(whole))
