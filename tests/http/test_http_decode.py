"""Content codings, and what may go wrong with them."""

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from loadgate_runner.http.decode import Undecodable, decode


def raw_deflate(data):
    """Deflate without zlib's frame, as some servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "DEFLATE": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("coding", PACKERS)
@given(data=st.binary(min_size=1, max_size=3000))
def test_what_was_packed_is_unpacked(coding, data):
    """Every coding gives back what went in, and says that it is all."""
    assert decode(coding, PACKERS[coding](data), 10_000) == (data, True)


@pytest.mark.parametrize("coding", PACKERS)
def test_a_bomb_is_stopped_at_the_limit(coding):
    """Of what unpacks to a hundred megabytes, no more than the limit is made."""
    bomb = PACKERS[coding](bytes(100_000_000))
    data, complete = decode(coding, bomb, 1000)
    assert (data, complete) == (bytes(1000), False)


@pytest.mark.parametrize("coding", PACKERS)
def test_exactly_the_limit_is_all(coding):
    """A body that is as large as the limit isn't cut."""
    assert decode(coding, PACKERS[coding](b"x" * 1000), 1000) == (b"x" * 1000, True)


@pytest.mark.parametrize("coding", PACKERS)
@pytest.mark.parametrize("left", [1, 5, 12, -4, -1])
def test_data_that_ends_early_is_undecodable(coding, left):
    """A body that came whole but is packed badly is a fault, wherever it ends."""
    packed = PACKERS[coding](bytes(range(256)) * 4)
    with pytest.raises(Undecodable):
        decode(coding, packed[:left], 10_000)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_of_a_body_that_was_cut_what_came_is_unpacked(coding):
    """Where only the beginning was kept, its end isn't missed."""
    data = bytes(range(256)) * 4000
    packed = PACKERS[coding](data)
    found, complete = decode(coding, packed[: len(packed) // 2], 10_000_000, whole=False)
    assert data.startswith(found)
    assert not complete


@given(st.binary(min_size=1, max_size=200), st.sampled_from(["gzip", "deflate", "br", "zstd"]))
def test_garbage_is_undecodable_or_something(data, coding):
    """No data raises anything but Undecodable."""
    try:
        found, _ = decode(coding, data, 1000)
    except Undecodable:
        return
    assert len(found) <= 1000


def test_codings_are_undone_in_reverse():
    """`gzip, br` was packed by gzip first."""
    assert decode("gzip, br", brotli.compress(gzip.compress(b"hello")), 100) == (b"hello", True)
    assert decode("identity", b"hello", 100) == (b"hello", True)
    assert decode("", b"hello", 100) == (b"hello", True)


def test_several_members_are_one_body():
    """Gzip and zstd allow pieces one after another."""
    assert decode("gzip", gzip.compress(b"a") + gzip.compress(b"b"), 100) == (b"ab", True)
    assert decode("zstd", zstandard.compress(b"a") + zstandard.compress(b"b"), 100) == (b"ab", True)


@pytest.mark.parametrize("codings", ["secret", "gzip, secret", "gzip, gzip, gzip, gzip"])
def test_unknown_and_too_many_codings_are_refused(codings):
    """What we don't know, or what is stacked too high, is undecodable."""
    with pytest.raises(Undecodable, match=r"secret|4"):
        decode(codings, b"data", 100)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_without_content_are_counted(coding):
    """A body of many empty members or frames, which no limit on what is unpacked would meet, is refused."""
    empty = PACKERS[coding](b"")
    assert decode(coding, empty * 999 + PACKERS[coding](b"x"), 10) == (b"x", True)
    with pytest.raises(Undecodable, match="more than 1000"):
        decode(coding, empty * 1001, 10)
