"""`--set path=value`."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate.api.faults import InvalidSpec
from loadgate.api.paths import format_path
from loadgate_cli.overrides import Override, apply, parse

RAW: dict[str, Any] = {
    "spec": {
        "target": {"url": "http://a"},
        "scenarios": [{"name": "s", "vus": 1}, {"name": "t"}],
        "thresholds": {"http_reqs{name:a}": ["rate>1"]},
    }
}


@pytest.mark.parametrize(
    ("argument", "path", "value"),
    [
        ("spec.scenarios[0].vus=5", ("spec", "scenarios", 0, "vus"), 5),
        ("spec.suspend=true", ("spec", "suspend"), True),
        ("spec.target.url=http://h/?a=b", ("spec", "target", "url"), "http://h/?a=b"),
        ('spec.thresholds["http_reqs{a:b}"]=[rate>1]', ("spec", "thresholds", "http_reqs{a:b}"), ["rate>1"]),
        ('spec.thresholds["a=b"]=null', ("spec", "thresholds", "a=b"), None),
        ("metadata.labels.app='7'", ("metadata", "labels", "app"), "7"),
        ("spec.warmup=", ("spec", "warmup"), None),
        ("spec.runners={count: 2}", ("spec", "runners"), {"count": 2}),
    ],
)
def test_argument_is_read(argument: str, path: tuple[str | int, ...], value: object):
    """A path and a value that YAML gives its type."""
    assert parse(argument) == Override(
        argument.split("=" if '"' not in argument else "]=", maxsplit=1)[0] + ("]" if '"' in argument else ""),
        path,
        value,
    )


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("spec.vus", "has no value"),
        ("vus=1", "doesn't begin with spec or metadata"),
        ("spec=1", "would replace the whole spec"),
        ("spec..a=1", "is not a path"),
        ("spec.a[x]=1", "is not a path"),
        ("=1", "doesn't begin"),
        ("spec.a=[1", "the value '[1' is not YAML"),
        ("spec.a={x: 1, x: 2}", "twice"),
    ],
)
def test_bad_argument_is_explained(argument: str, message: str):
    """What can't be read is a fault of the option."""
    with pytest.raises(InvalidSpec) as caught:
        parse(argument)
    (fault,) = caught.value.faults
    assert fault.file == "--set"
    assert message in fault.message


@pytest.mark.parametrize(
    ("argument", "message", "hint"),
    [
        ("spec.scenarios.vus=1", "spec.scenarios is a list of 2", "spec.scenarios[0]"),
        ("spec.scenarios[2].vus=1", "beyond the list's end: [0] to [1] are there", ""),
        ("spec.scenarios[3]={}", "beyond the list's end", ""),
        ("spec.target[0]=1", "spec.target is no list", "leave"),
        ("spec.target.url.host=1", "spec.target.url is 'http://a' and has no fields", ""),
    ],
)
def test_path_that_leads_nowhere_is_explained(argument: str, message: str, hint: str):
    """A path that doesn't fit the manifest says where it went wrong."""
    with pytest.raises(InvalidSpec) as caught:
        apply([parse(argument)], RAW)
    (fault,) = caught.value.faults
    assert message in fault.message
    assert hint in fault.hint


def test_all_paths_that_lead_nowhere_are_told_at_once():
    """Two bad overrides are two faults."""
    with pytest.raises(InvalidSpec) as caught:
        apply([parse("spec.scenarios.a=1"), parse("spec.target[0]=1")], RAW)
    assert len(caught.value.faults) == 2


def test_what_lies_between_is_made():
    """A field of a part that the manifest leaves out is set all the same."""
    assert apply([parse("spec.runners.count=3")], RAW)["spec"]["runners"] == {"count": 3}


def test_a_list_can_grow_by_one():
    """The place just after a list's end is there to be set."""
    assert apply([parse("spec.scenarios[2]={name: u}")], RAW)["spec"]["scenarios"][2] == {"name": "u"}


KEYS = st.text("abcz{}:.\"' =[]", min_size=1, max_size=6)


@given(st.lists(KEYS, min_size=1, max_size=4), st.integers(-5, 5))
def test_any_path_reads_back_and_changes_only_its_place(keys: list[str], value: int):
    """Whatever the names, the field is set, and the given manifest is as it was."""
    before = copy.deepcopy(RAW)
    path = ("spec", "new", *keys)
    here: Any = apply([parse(f"{format_path(path)}={value}")], RAW)
    assert {key: here["spec"][key] for key in RAW["spec"]} == RAW["spec"]
    for part in path:
        here = here[part]
    assert here == value
    assert before == RAW
