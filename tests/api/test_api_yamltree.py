"""YAML's values, their places, and what is refused in it."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loadgate.api import yamltree
from loadgate.api.yamltree import Place, read


def value(text):
    """The only document's value, which must be without a fault."""
    (tree,) = read(text)
    assert tree.wrongs == []
    return tree.value


def wrong(text):
    """The only thing that is wrong: its message and place."""
    wrongs = [wrong for tree in read(text) for wrong in tree.wrongs]
    assert len(wrongs) == 1, wrongs
    return wrongs[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1", 1),
        ("a: -17", -17),
        ("a: 1_000", 1000),
        ("a: 0", 0),
        ("a: 0x1F", 31),
        ("a: -0x1F", -31),
        ("a: 0o17", 15),
        ("a: 017", 15),
        ("a: 0b101", 5),
        ("a: 1.5", 1.5),
        ("a: .5", 0.5),
        ("a: 1e3", 1000.0),
        ("a: true", True),
        ("a: Yes", True),
        ("a: OFF", False),
        ("a: ~", None),
        ("a:", None),
        ("a: null", None),
        ("a: '1'", "1"),
        ('a: "true"', "true"),
        ("a: 1:30", "1:30"),
        ("a: 2026-11-24", "2026-11-24"),
        ("a: 1s", "1s"),
        ("a: !!str 5", "5"),
        ("a: ! 5", "5"),
        ("a: !!int '5'", 5),
        ("a: [1, x]", [1, "x"]),
        ("a: {b: 1}", {"b": 1}),
        ("a: |\n  x\n  y\n", "x\ny\n"),
        ("a: 99999999999999999999999", 99999999999999999999999.0),
    ],
)
def test_scalars_are_what_kubernetes_takes_them_for(text, expected):
    """Numbers, booleans and null are read as such, and nothing else is taken for something that it isn't."""
    found = value(text)["a"]
    assert found == expected
    assert type(found) is type(expected)


def test_keys_are_always_texts():
    """A key that looks like a boolean or a number is still the text that was written."""
    assert value("on: 1\n5: 2\nnull: 3") == {"on": 1, "5": 2, "null": 3}


def test_aliases_and_merges_are_written_out():
    """An alias stands for its anchor's value; a merge gives what the object doesn't say itself."""
    assert value("a: &x {p: 1, q: 2}\nb: *x\nc: {<<: *x, q: 3}") == {
        "a": {"p": 1, "q": 2},
        "b": {"p": 1, "q": 2},
        "c": {"p": 1, "q": 3},
    }


def test_the_first_of_several_merges_wins():
    """In a list of merges the earlier one wins, as YAML says."""
    assert value("a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}")["c"] == {"p": 1, "q": 2}


def test_every_part_has_a_place():
    """Keys and items are found at their line and column, and what isn't there at what would hold it."""
    (tree,) = read("spec:\n  stages:\n  - target: 1\n  - {duration: 1s}\n")
    assert tree.locate(("spec",)) == Place(1, 1)
    assert tree.locate(("spec", "stages")) == Place(2, 3)
    assert tree.locate(("spec", "stages", 0, "target")) == Place(3, 5)
    assert tree.locate(("spec", "stages", 1)) == Place(4, 5)
    assert tree.locate(("spec", "stages", 1, "duration")) == Place(4, 6)
    assert tree.locate(("spec", "stages", 1, "target")) == Place(4, 5)
    assert tree.locate(("other",)) == Place(1, 1)


def test_a_stream_has_many_documents():
    """Each document is read by itself; empty ones don't count."""
    trees = read("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n")
    assert [tree.value for tree in trees] == [{"a": 1}, {"b": 2}]
    assert [tree.place.line for tree in trees] == [2, 7]


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("a: 1\na: 2", "this key is there twice", Place(2, 1)),
        ("a:\n  b: 1\n  c: 2\n  b: 3", "this key is there twice", Place(4, 3)),
        ("a: [1", "not YAML", Place(2, 1)),
        ("a: b: c", "not YAML", Place(1, 5)),
        ("a:\n\t- b", "not YAML", Place(2, 1)),
        ("a: *x", "the alias *x stands for nothing before it", Place(1, 4)),
        ("a: &x [*x]", "the alias *x stands for nothing before it", Place(1, 8)),
        ("a: !!python/object:os.system x", "is not supported", Place(1, 4)),
        ("a: !mine x", "the tag !mine is not supported", Place(1, 4)),
        ("a: .inf", ".inf is not a number that JSON knows", Place(1, 4)),
        ("a: -.INF", "-.INF is not a number that JSON knows", Place(1, 4)),
        ("a: .nan", ".nan is not a number that JSON knows", Place(1, 4)),
        ("a: 1e999", "1e999 is not a number that JSON knows", Place(1, 4)),
        ("[a]: 1", "a key must be a text", Place(1, 1)),
        ("a: {<<: 5}", "<< merges objects only", Place(1, 9)),
        ("a: \x07", "not YAML", None),
        ("a: \ud800", "not YAML", None),
    ],
)
def test_bad_yaml_is_a_fault_at_its_place(text, message, place):
    """What isn't good YAML is said once, at its line and column."""
    found = wrong(text)
    assert message in found.message
    assert place is None or found.place == place


def test_documents_before_the_break_are_kept():
    """A stream that breaks off still gives what came before."""
    trees = read("a: 1\n---\nb: [\n")
    assert trees[0].value == {"a": 1}
    assert trees[0].wrongs == []
    assert "not YAML" in trees[1].wrongs[0].message


def test_an_alias_bomb_is_refused():
    """Nine aliases of nine aliases, nine deep, are a fault, not a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert "the aliases in this document stand for too much" in wrong("\n".join(lines)).message


def test_deep_nesting_is_refused():
    """A hundred thousand brackets are a fault, not a crash."""
    assert "deep inside one another" in wrong("[" * 100_000).message


def test_a_large_file_is_refused_unread():
    """A file over the limit is a fault in itself."""
    assert "the file is larger than 4 MiB" in wrong("a" * (yamltree.MAX_BYTES + 1)).message


def test_both_of_pyyamls_parsers_will_do(monkeypatch):
    """Where PyYAML has no C parser, its Python one gives the same values and places."""
    text = "a: &x {b: [1, 2]}\nc: *x\nc: 3\n"
    fast = read(text)
    monkeypatch.setattr(yamltree, "_LOADER", yaml.SafeLoader)
    assert read(text) == fast
    assert "not YAML" in wrong("a: \x07").message
    assert wrong("a: \x07").place == Place(1, 4)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**53), max_value=2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\u2028\u2029\x85\ufffe\uffff"),
        max_size=8,
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(categories=["L", "N", "P"]), max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_json_is_yaml(document):
    """A JSON document gives its own values."""
    (tree,) = read(json.dumps({"a": document}, ensure_ascii=False))
    assert tree.value == {"a": document}
