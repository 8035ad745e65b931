"""A VU's cookies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate_runner.http import CookieJar, Origin
from loadgate_runner.http.cookies import IN_ALL, PER_DOMAIN

SHOP = Origin("http", "www.shop.example", 80)
SECURE = SHOP._replace(scheme="https", port=443)


class Clock:
    """A wall clock that tests set."""

    now = 1_790_000_000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("set_cookie", "origin", "path", "sent"),
    [
        ("a=b", SHOP, b"/", True),
        ("a=b", SHOP._replace(host="api.shop.example"), b"/", False),
        ("a=b", SHOP._replace(host="x.www.shop.example"), b"/", False),
        ("a=b", SHOP._replace(port=8080), b"/", True),
        ("a=b; Domain=shop.example", SHOP._replace(host="api.shop.example"), b"/", True),
        ("a=b; Domain=.Shop.Example", SHOP._replace(host="shop.example"), b"/", True),
        ("a=b; Domain=shop.example", SHOP._replace(host="notshop.example"), b"/", False),
        ("a=b; Domain=other.example", SHOP, b"/", False),
        ("a=b; Domain=api.shop.example", SHOP, b"/", False),
        ("a=b; Domain=example", SHOP, b"/", False),
        ("a=b; Domain=", SHOP, b"/", True),
        ("a=b", SHOP, b"/shop/list", True),
        ("a=b; Path=/shop", SHOP, b"/shop", True),
        ("a=b; Path=/shop", SHOP, b"/shop/list?x=/", True),
        ("a=b; Path=/shop", SHOP, b"/shopping", False),
        ("a=b; Path=/shop/", SHOP, b"/shop/list", True),
        ("a=b; Path=relative", SHOP, b"/anything", True),
        ("a=b; Secure", SHOP, b"/", False),
        ("a=b; Max-Age=0", SHOP, b"/", False),
        ("a=b; Max-Age=-5", SHOP, b"/", False),
        ("a=b; Max-Age=60", SHOP, b"/", True),
        ("a=b; Max-Age=" + "9" * 400, SHOP, b"/", True),
        ("a=b; Max-Age=-" + "9" * 400, SHOP, b"/", False),
        ("a=b; Expires=Wed, 21 Oct 2015 07:28:00 GMT", SHOP, b"/", False),
        ("a=b; Expires=Wed, 21-Oct-2037 07:28:00 GMT", SHOP, b"/", True),
        ("a=b; Expires=nonsense", SHOP, b"/", True),
        ("a=b; Max-Age=60; Expires=Wed, 21 Oct 2015 07:28:00 GMT", SHOP, b"/", True),
        ("a=b; HttpOnly; SameSite=Strict; Unknown=1", SHOP, b"/", True),
        ("a=", SHOP, b"/", True),
        ("=b", SHOP, b"/", False),
        ("a", SHOP, b"/", False),
        ("a=b\x01", SHOP, b"/", False),
        ("a=" + "x" * 5000, SHOP, b"/", False),
    ],
)
def test_a_cookie_goes_where_it_is_meant_for(set_cookie, origin, path, sent):
    """Domain, path, Secure and expiry decide where a cookie set by http://www.shop.example/ is sent."""
    jar = CookieJar(Clock())
    jar.store(SHOP, b"/", set_cookie)
    value = set_cookie.partition(";")[0].partition("=")[2]
    assert jar.line(origin, path) == (f"Cookie: a={value}\r\n".encode() if sent else b"")
    assert jar.get("a", origin, path) == (value if sent else None)


def test_a_secure_cookie_is_only_for_https():
    """It is taken from https, sent to https, and not sent to http."""
    jar = CookieJar(Clock())
    jar.store(SECURE, b"/", "a=b; Secure")
    assert jar.get("a", SECURE) == "b"
    assert jar.get("a", SHOP) is None


def test_addresses_have_no_parent_domain():
    """A server at an IP address can't set cookies for part of it."""
    jar = CookieJar(Clock())
    jar.store(Origin("http", "10.1.2.3", 80), b"/", "a=b; Domain=2.3")
    assert jar.size == 0


def test_without_a_path_a_cookie_is_for_the_folder_that_set_it():
    """RFC 6265's default path: up to the last slash."""
    jar = CookieJar(Clock())
    jar.store(SHOP, b"/shop/login?next=/", "a=b")
    assert jar.get("a", SHOP, b"/shop/cart") == "b"
    assert jar.get("a", SHOP, b"/other") is None


def test_cookies_expire():
    """Once its time has passed, a cookie is neither sent nor found."""
    clock = Clock()
    jar = CookieJar(clock)
    jar.store(SHOP, b"/", "a=b; Max-Age=60")
    clock.now += 59
    assert jar.get("a", SHOP) == "b"
    clock.now += 1
    assert jar.line(SHOP, b"/") == b""


def test_a_cookie_is_replaced_and_deleted_by_its_name():
    """The same name, domain and path are one cookie; Max-Age=0 removes it."""
    jar = CookieJar(Clock())
    jar.store(SHOP, b"/", "a=1")
    jar.store(SHOP, b"/", "a=2")
    assert (jar.get("a", SHOP), jar.size) == ("2", 1)
    jar.store(SHOP, b"/", "a=; Max-Age=0")
    assert jar.size == 0


def test_longer_paths_come_first_then_older_cookies():
    """The order that servers expect where two cookies have one name."""
    jar = CookieJar(Clock())
    for text in ("old=1", "new=1", "deep=1; Path=/a/b"):
        jar.store(SHOP, b"/", text)
    jar.store(SHOP, b"/", "old=2")
    assert jar.line(SHOP, b"/a/b") == b"Cookie: deep=1; old=2; new=1\r\n"


def test_the_number_of_cookies_is_bounded():
    """At most 50 for a domain and 300 in all; the oldest give way."""
    jar = CookieJar(Clock())
    for number in range(PER_DOMAIN + 5):
        jar.store(SHOP, b"/", f"c{number}=x")
    assert jar.size == PER_DOMAIN
    assert jar.get("c4", SHOP) is None
    assert jar.get("c5", SHOP) == "x"
    for number in range(IN_ALL):
        jar.store(Origin("http", f"h{number}.example", 80), b"/", "a=b")
    assert jar.size == IN_ALL


def test_expired_cookies_give_way_first():
    """Room is made by what is no longer sent anyway."""
    clock = Clock()
    jar = CookieJar(clock)
    jar.store(SHOP, b"/", "first=1")
    for number in range(PER_DOMAIN - 1):
        jar.store(SHOP, b"/", f"c{number}=x; Max-Age=1")
    clock.now += 2
    jar.store(SHOP, b"/", "last=1")
    assert jar.line(SHOP, b"/") == b"Cookie: first=1; last=1\r\n"
    assert jar.size == 2


def test_an_empty_jar_is_cleared_and_asked_for_nothing():
    """Clearing forgets everything."""
    jar = CookieJar(Clock())
    jar.store(SHOP, b"/", "a=b")
    jar.clear()
    assert (jar.size, jar.line(SHOP, b"/")) == (0, b"")


@given(st.text(max_size=60))
def test_no_set_cookie_breaks_the_jar(text):
    """Whatever a server sends, the jar lives, and its line is one line."""
    jar = CookieJar(Clock())
    jar.store(SECURE, b"/", text)
    line = jar.line(SECURE, b"/")
    assert line == b"" or (line.endswith(b"\r\n") and line.count(b"\n") == 1)
