"""Data: every order deals rows as it says, over any number of runners and processes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journey_samples import Bench, plan_of, state_of

from loadgate.plan.document import PlanData
from loadgate.plan.share import Share
from loadgate_runner.journey.data import LARGEST_FILE, Source, read_csv, read_file, read_json
from loadgate_runner.journey.errors import Exhausted, JourneyError
from loadgate_runner.journey.secrets import Secret, load


def rows(count):
    """Rows that say their number."""
    return [{"n": number} for number in range(count)]


def taken(source):
    """All rows that a unique source has for its share."""
    found = []
    while True:
        try:
            found.append(source.take(state_of())["n"])
        except Exhausted as error:
            assert error.source == "s"  # noqa: PT017 - it ends the loop too
            return found


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 3))
def test_unique_rows_are_dealt_out_exactly(count, runners, processes):
    """All shares together take each row once."""
    shares = [Share.of(index, runners).divide(part, processes) for index in range(runners) for part in range(processes)]
    found = [number for share in shares for number in taken(Source("s", rows(count), "unique", share))]
    assert sorted(found) == list(range(count))


@given(st.integers(1, 10), st.integers(0, 100))
def test_sequential_rows_go_round_by_the_iterations_number(count, number):
    """So that over the whole run each is taken as often as any other."""
    state = state_of()
    state.number = number
    assert Source("s", rows(count), "sequential", Share()).take(state) == {"n": number % count}


def test_random_rows_are_drawn_by_the_virtual_user():
    """All of them in the end, the same ones from the same seed."""
    source = Source("s", rows(4), "random", Share())
    first, again = state_of(), state_of()
    drawn = [source.take(first)["n"] for _ in range(100)]
    assert set(drawn) == {0, 1, 2, 3}
    assert drawn == [source.take(again)["n"] for _ in range(100)]


def test_a_source_without_rows_is_refused():
    """Before any load."""
    with pytest.raises(JourneyError, match="no rows"):
        Source("s", [], "random", Share())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n", [{"a": "1", "b": "2"}]),
        ('\ufeffa,b\r\n"x, y","l1\nl2"\r\n3,4', [{"a": "x, y", "b": "l1\nl2"}, {"a": "3", "b": "4"}]),
        ("a\n\n1\n", [{"a": "1"}]),
        ("a,b\nx\u2028y\x0cz,2\n", [{"a": "x\u2028y\x0cz", "b": "2"}]),
    ],
)
def test_a_csv_file_gives_rows_of_texts(tmp_path, text, expected):
    """Quoted fields, line ends of either kind and no others, a byte order mark."""
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode())
    assert list(read_csv(path)) == expected


@pytest.mark.parametrize("content", [b"a,b\n1\n", b"a,b\n1,2,3\n", b'a\n"x', b"a\n\xff\n"])
def test_a_file_that_is_no_csv_is_refused(tmp_path, content):
    """With its name."""
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(JourneyError, match="rows"):
        read_csv(path)


def test_a_json_file_gives_rows(tmp_path):
    """Of any values."""
    path = tmp_path / "rows.json"
    path.write_text('[{"a": 1}, {"a": [2]}]')
    assert list(read_json(path)) == [{"a": 1}, {"a": [2]}]


@pytest.mark.parametrize("content", ["{", "{}", "[1]", "null"])
def test_a_file_that_is_no_array_of_objects_is_refused(tmp_path, content):
    """With its name."""
    path = tmp_path / "rows.json"
    path.write_text(content)
    with pytest.raises(JourneyError, match="rows"):
        read_json(path)


def test_files_are_bounded(tmp_path):
    """A file that is too large is refused, not read whole."""
    path = tmp_path / "big"
    path.write_bytes(b"x" * (LARGEST_FILE + 1))
    with pytest.raises(JourneyError, match="larger"):
        read_file(path)
    with pytest.raises(JourneyError, match="can't be read"):
        read_file(tmp_path)


@pytest.mark.parametrize(("name", "content"), [("r.csv", "n\nx\n"), ("r.json", '[{"n": "x"}]')])
async def test_rows_come_from_mounted_files(tmp_path, name, content):
    """As the plan names them."""
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / name).write_text(content)
    data = {"d": PlanData(order="sequential", file=f"maps/{name}", format=name.partition(".")[2])}
    bench = Bench(plan_of({"request": {"url": "/${data.d.n}"}}, data=data), tmp_path=tmp_path)
    await bench.vu.iterate(0)
    assert bench.client.sent[0].path == b"/x"


def test_secrets_come_from_the_environment_and_hide():
    """Their value is there for requests, and nowhere that a repr goes."""
    found = load({"api-key": "KEY", "pass": "PASS"}, {"KEY": "k1", "PASS": "k123", "OTHER": "x"})
    assert found == {"api-key": "k1", "pass": "k123"}
    assert found["pass"] == found.__getattr__("pass")
    assert f"{found} {[found['pass']]!r}" == "{'api-key': ***, 'pass': ***} [***]"
    assert f"{found['pass']}" == "k123"
    with pytest.raises(AttributeError, match="gone"):
        _ = found.gone


def test_secrets_are_taken_out_of_texts():
    """The longest first, so that no part of one stays."""
    found = load(
        {"a": "KEY", "b": "PASS", "c": "NONE", "d": "PIN"}, {"KEY": "k123", "PASS": "k12345", "NONE": "", "PIN": "see"}
    )
    assert found.redact("see k12345 and k123") == "see *** and ***"
    assert isinstance(found["a"], Secret)


def test_a_missing_secret_is_named():
    """With its variable, before any load."""
    with pytest.raises(JourneyError, match=r"pass \(PASS\)"):
        load({"pass": "PASS"}, {})
