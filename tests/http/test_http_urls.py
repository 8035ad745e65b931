"""URLs, paths and queries as they go over the wire."""

import re
from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate_runner.http import Origin, encode_component, encode_path, encode_query, locate
from loadgate_runner.http.urls import follow

TEXTS = st.text(max_size=30)


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("http://shop", ("http", "shop", 80), b"/"),
        ("https://shop/", ("https", "shop", 443), b"/"),
        ("HTTP://Shop.Example:8080/A?b=C#d", ("http", "shop.example", 8080), b"/A?b=C"),
        ("http://shop?x=1", ("http", "shop", 80), b"/?x=1"),
        ("http://[::1]:81/a", ("http", "::1", 81), b"/a"),
        ("http://[fe80::1%25eth0]/", ("http", "fe80::1%eth0", 80), b"/"),
        ("http://me:secret@shop/", ("http", "shop", 80), b"/"),
        ("http://bücher.example/ü", ("http", "xn--bcher-kva.example", 80), b"/%C3%BC"),
        ("http://shop/a%20b/%zz", ("http", "shop", 80), b"/a%20b/%25zz"),
        ("http://shop_1.default.svc/", ("http", "shop_1.default.svc", 80), b"/"),
        (" http://shop/ ", ("http", "shop", 80), b"/"),
    ],
)
def test_a_url_is_an_origin_and_a_path(url, origin, path):
    """Each URL has one reading, the one that clients agree on."""
    assert locate(url) == (origin, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop",
        "/path",
        "ftp://shop/",
        "http://",
        "http:///path",
        "http://shop:0/",
        "http://shop:65536/",
        "http://shop:x/",
        "http://sh op/",
        "http://sh\\op/",
        "http://[::1/",
        "http://[nonsense]/",
        "http://" + "x" * 70 + "ü/",
    ],
)
def test_what_cannot_be_requested_is_said(url):
    """A URL without a usable scheme, host or port is refused with a message."""
    with pytest.raises(ValueError, match=r".+"):
        locate(url)


def test_origins_write_themselves():
    """An authority leaves the default port out and puts IPv6 into brackets, without a zone."""
    assert Origin("http", "shop", 80).authority == "shop"
    assert Origin("https", "shop", 80).authority == "shop:80"
    assert Origin("https", "::1", 443).authority == "[::1]"
    assert Origin("http", "fe80::1%eth0", 81).authority == "[fe80::1]:81"
    assert Origin("http", "shop", 81).url(b"/a?b") == "http://shop:81/a?b"


@given(TEXTS)
def test_a_path_never_breaks_the_request_line(text):
    """Whatever a template gives, the path is one word of printable ASCII that begins with a slash."""
    assert re.fullmatch(rb"/[!-~]*", encode_path(text))


@given(TEXTS)
def test_encoding_a_path_twice_changes_nothing(text):
    """What is encoded already stays as it is."""
    once = encode_path(text)
    assert encode_path(once.decode()) == once


@pytest.mark.parametrize(
    ("text", "path"),
    [("", b"/"), ("a", b"/a"), ("?x", b"/?x"), ("/ü/%C3%BC", b"/%C3%BC/%C3%BC"), ("/a[1]|b", b"/a%5B1%5D%7Cb")],
)
def test_paths_are_encoded_where_needed(text, path):
    """UTF-8, percent-encoded where a character may not stand in a path; a missing slash is added."""
    assert encode_path(text) == path


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_a_query_reads_back_as_it_was(pairs):
    """The standard library's reader gets the pairs that went in."""
    encoded = encode_query(pairs)
    assert parse_qsl(encoded.decode(), keep_blank_values=True) == pairs


@given(TEXTS)
def test_components_are_encoded_as_forms_are(text):
    """The same as the standard library's quoting."""
    assert encode_component(text).decode() == quote_plus(text)


@given(TEXTS)
def test_a_location_leads_somewhere_or_is_refused(location):
    """No `Location` makes anything but a place or a ValueError."""
    try:
        origin, path = follow(Origin("http", "shop", 80), b"/a/b?c", location)
    except ValueError:
        return
    assert origin.scheme in {"http", "https"}
    assert path.startswith(b"/")
