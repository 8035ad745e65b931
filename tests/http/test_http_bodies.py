"""Bodies as bytes."""

import email.parser
import email.policy
import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate_runner.http import Part, basic, bearer, form_body, json_body, multipart_body, multipart_content, text_body

NAMES = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters='"\\%\x7f'), min_size=1, max_size=9
)


def test_simple_bodies_say_what_they_are():
    """Each builder gives the content type and the bytes."""
    assert json_body({"a": [1, "ü"]}) == ("application/json", '{"a":[1,"ü"]}'.encode())
    assert text_body("ü") == ("text/plain; charset=utf-8", "ü".encode())
    content_type, body = form_body([("a", "1 2"), ("ü", "&")])
    assert content_type == "application/x-www-form-urlencoded"
    assert parse_qsl(body.decode()) == [("a", "1 2"), ("ü", "&")]
    assert json.loads(json_body(None)[1]) is None


@given(st.lists(st.builds(Part, NAMES, st.binary(max_size=50), st.none() | NAMES), min_size=1, max_size=4))
def test_a_multipart_body_reads_back_as_it_was(parts):
    """A mail parser, which reads the same format, finds the parts with their names and values."""
    content_type, body = multipart_body(parts)
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    )
    boundary = content_type.partition("boundary=")[2].encode()
    assert message.is_multipart()
    assert body.count(b"--" + boundary) == len(parts) + 1
    pieces = body.split(b"--" + boundary)[1:-1]
    for piece, part in zip(pieces, parts, strict=True):
        head, _, value = piece[2:-2].partition(b"\r\n\r\n")
        assert value == part.value
        assert f'name="{part.name}"'.encode() in head
        assert (b"filename=" in head) is (part.filename is not None)
        assert (b"application/octet-stream" in head) is (part.filename is not None)


@pytest.mark.parametrize("evil", ['a"b', "a\r\nX: y", 'a"; filename="x'])
def test_a_name_cannot_break_out_of_its_head(evil):
    """Quotes and line ends in names and types are encoded as browsers do."""
    body = multipart_content([Part(evil, b"v", evil, evil)], "b")
    head = body.partition(b"\r\n\r\n")[0]
    assert head.count(b"\r\n") == 2
    assert head.count(b'"') == 4


def test_boundaries_are_new_each_time():
    """Two bodies never share a boundary, so that one may contain the other."""
    assert multipart_body([Part("a", b"")])[0] != multipart_body([Part("a", b"")])[0]


def test_credentials_are_headers():
    """RFC 7617's own example, with UTF-8, and RFC 6750's."""
    assert basic("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert basic("test", "123£") == "Basic dGVzdDoxMjPCow=="
    assert bearer("mF_9.B5f-4.1JqM") == "Bearer mF_9.B5f-4.1JqM"
