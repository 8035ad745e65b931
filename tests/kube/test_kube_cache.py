"""What the operator believes of the cluster: the newest of what it heard and what it wrote, and nothing that is gone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadgate_operator.cluster.kubernetes.cache import Cache
from loadgate_operator.cluster.kubernetes.contents import LARGEST, MOST_BYTES, Contents
from loadgate_operator.cluster.port import Key, Kind, Object

KEY = Key(Kind.JOB, "default", "j")


def job(version: int, uid: str = "u", **labels: str) -> Object:
    """A Job of a version."""
    metadata = {"name": "j", "namespace": "default", "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {**metadata, "managedFields": [{}]}}


def held(cache: Cache) -> int | None:
    """The version that is believed in."""
    entry = cache.get(KEY)
    return entry.version if entry else None


@given(st.permutations([1, 2, 3, 4, 5]))
def test_the_newest_wins_in_any_order(versions: list[int]) -> None:
    """An event that comes late takes nothing back."""
    cache = Cache(lambda _: None)
    for version in versions:
        cache.put(job(version))
    assert held(cache) == 5


def test_what_is_gone_stays_gone() -> None:
    """Neither an event nor an answer that comes late brings an object back; another of its name is another."""
    cache = Cache(lambda _: None)
    cache.put(job(1))
    cache.remove(KEY, "u")
    cache.put(job(9))
    assert held(cache) is None
    cache.put(job(10, uid="v"))
    cache.remove(KEY, "u")
    assert held(cache) == 10


def test_only_news_is_told() -> None:
    """Who waits for changes hears of each once."""
    told: list[Key] = []
    cache = Cache(told.append)
    for version in (1, 1, 2, 1):
        cache.put(job(version))
    cache.remove(KEY, "u")
    cache.remove(KEY, "u")
    assert len(told) == 3


def test_a_list_buries_what_it_lacks() -> None:
    """What went while nobody watched is let go; what is newer than the list isn't, nor what is elsewhere."""
    cache = Cache(lambda _: None)
    cache.put(job(5))
    cache.bury(Kind.JOB, ["other"], {}, 9)
    cache.bury(Kind.JOB, [""], {}, 4)
    assert held(cache) == 5
    cache.bury(Kind.JOB, [""], {}, 5)
    assert held(cache) is None


def test_a_list_says_what_is_late() -> None:
    """A key that is missing or older here is behind; one that is newer isn't."""
    cache = Cache(lambda _: None)
    cache.put(job(5))
    other = Key(Kind.JOB, "default", "k")
    assert cache.behind({KEY: 5, other: 1}, Kind.JOB) == [other]
    assert cache.behind({KEY: 6}, Kind.JOB) == [KEY]


def test_labels_select_and_readers_get_copies() -> None:
    """All labels count, bookkeeping is left out, and nobody can change what others will read."""
    cache = Cache(lambda _: None)
    cache.put(job(1, a="1"))
    assert cache.select(Kind.JOB, "", {"a": "2"}) == []
    found = cache.select(Kind.JOB, "default", {"a": "1"})[0]
    assert "managedFields" not in found["metadata"]
    found["metadata"].clear()
    assert cache.select(Kind.JOB, "default")[0]["metadata"]["name"] == "j"


def test_contents_are_of_their_version_and_bounded() -> None:
    """Another version isn't known, a large object isn't kept, and all together stay within their bound."""
    contents = Contents()
    contents.put(KEY, 1, b"x")
    assert (contents.get(KEY, 1), contents.get(KEY, 2)) == (b"x", None)
    contents.put(KEY, 2, b"x" * (LARGEST + 1))
    assert contents.get(KEY, 2) is None
    many = MOST_BYTES // LARGEST + 5
    keys = [Key(Kind.CONFIG_MAP, "default", str(number)) for number in range(many)]
    for key in keys:
        contents.put(key, 1, b"x" * LARGEST)
    assert sum(contents.get(key, 1) is not None for key in keys) == MOST_BYTES // LARGEST
