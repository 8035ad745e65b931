"""Rows as a block of bytes: what goes in comes out, here and in whoever shares it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate_runner.journey import Rows, nameless_file

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(texts, values, max_size=4), max_size=20))
def test_objects_come_back_as_they_were(rows):
    """Whatever JSON holds; and the names are all that any row has."""
    found = Rows.of_objects(rows)
    assert [found[number] for number in range(len(found))] == rows
    assert found.names == {name for row in rows for name in row}


@given(
    st.lists(texts, min_size=1, max_size=4, unique=True).flatmap(
        lambda columns: st.tuples(
            st.just(columns), st.lists(st.lists(texts, min_size=len(columns), max_size=len(columns)), max_size=20)
        )
    )
)
def test_lists_come_back_with_their_columns(table):
    """One dictionary a row, in the columns' order."""
    columns, lists = table
    found = Rows.of_lists(columns, lists)
    assert [list(found[number].items()) for number in range(len(found))] == [
        list(zip(columns, row, strict=True)) for row in lists
    ]


@pytest.mark.parametrize(
    "rows", [Rows.of_lists(["a", "b"], [["1", "ä"], ["3", ""]]), Rows.of_objects([{"a": 1}, {"b": []}])]
)
def test_another_process_reads_the_same(rows):
    """From the file's descriptor and the description alone."""
    descriptor = nameless_file()
    rows.share(descriptor)
    there = Rows.shared(rows.description, descriptor)
    os.close(descriptor)
    assert len(there) == len(rows)
    assert [there[number] for number in range(len(there))] == [rows[number] for number in range(len(rows))]


def test_a_row_is_its_takers_own():
    """What one changes another doesn't see."""
    rows = Rows.of_objects([{"a": [1]}])
    rows[0]["a"].append(2)
    assert rows[0] == {"a": [1]}


def test_past_the_end_is_no_row():
    """As of any sequence."""
    with pytest.raises(IndexError):
        _ = Rows.of_objects([{"a": 1}])[1]
