"""Templates as closures: the same text as reading them step by step would give, in every encoding."""

import base64
import re
import uuid
from datetime import datetime
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journey_samples import scope_of, state_of

from loadgate.api.grammar import template
from loadgate.plan.share import Share
from loadgate_runner.journey.data import Source
from loadgate_runner.journey.errors import JourneyError, ValueFault
from loadgate_runner.journey.functions import FUNCTIONS
from loadgate_runner.journey.secrets import Secret, Secrets
from loadgate_runner.journey.templates import compile_text, compile_value, fold, join, json_pieces, parse, pieces
from loadgate_runner.journey.values import text_of

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def made(piece, state):
    """A piece's bytes."""
    return piece if isinstance(piece, bytes) else piece(state)


def render(text, state, scope=None):
    """A template's text."""
    return compile_text(parse(text), scope or scope_of())(state)


@given(st.lists(st.text(max_size=6) | st.sampled_from([("a",), ("b",)]), max_size=6), JSON, JSON)
def test_a_text_is_its_literals_and_values_in_order(parts, a, b):
    """Compiled, a template gives what putting its parts together one by one gives, as text and as bytes."""
    values = {"a": a, "b": b}
    text = str(
        template.parse("".join(template.escape(part) if isinstance(part, str) else f"${{{part[0]}}}" for part in parts))
    )
    found = parse(text)
    expected = "".join(part if isinstance(part, str) else text_of(values[part.path[0]]) for part in found.parts)
    state = state_of(**values)
    assert compile_text(found, scope_of())(state) == expected
    assert made(join(pieces(found, scope_of(), str.encode)), state) == expected.encode()


@given(JSON)
def test_a_document_without_templates_is_itself(document):
    """Escaped, any JSON document compiles to bytes that are known at once."""

    def escaped(value):
        if isinstance(value, str):
            return template.escape(value)
        if isinstance(value, list):
            return [escaped(item) for item in value]
        if isinstance(value, dict):
            return {key: escaped(item) for key, item in value.items()}
        return value

    found = join(json_pieces(escaped(document), scope_of()))
    assert isinstance(found, bytes)
    assert orjson.loads(found) == document


@given(JSON, JSON)
def test_values_keep_their_type_in_a_document(one, two):
    """A text that is one expression is the value itself; within more text it is text."""
    document = {"one": "${a}", "list": ["${b}", "x ${a} y"], "n": 1}
    found = join(json_pieces(document, scope_of()))(state_of(a=one, b=two))
    assert orjson.loads(found) == {"one": one, "list": [two, f"x {text_of(one)} y"], "n": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${vu.id}/${vu.iteration}/${iteration}", "7/2/40"),
        ("${scenario}/${run.id}/${runner.index}", "s/run-1/3"),
        ("${secret.key}", "hush"),
        ("${data.rows.name}/${data.rows.some}", "ann/"),
        ("${setup.token}/${setup.gone}", "abc/"),
        ("${name}/${gone}", "val/"),
        ("${none}${yes}${no}${float}${list}", 'truefalse1.5[1,"a"]'),
        ("%s %% $${x} ${name}%", "%s %% ${x} val%"),
        ('${base64("${name}:${secret.key}")}', base64.b64encode(b"val:hush").decode()),
        ("${urlencode(name)}${urlencode('a b/c&d')}", "val" + quote("a b/c&d", safe="")),
        ("${json(list)}${json(name)}${json('a')}", '[1,"a"]"val""a"'),
        ("${number('2')} ${number('2.50')} ${number(float)} ${number('1e3')} ${number(7)}", "2 2.5 1.5 1000 7"),
        ("${now.unix()} ${now.ms()} ${now.iso()}", "1700000000 1700000000250 2023-11-14T22:13:20.250Z"),
    ],
)
def test_names_and_functions_mean_this(text, expected):
    """Every name, and every function that gives the same each time."""
    source = Source("rows", [{"name": "ann"}, {"some": 1}], "sequential", Share())
    scope = scope_of(
        secrets=Secrets({"key": Secret("hush")}),
        sources={"rows": source},
        setup={"token": "abc"},
        wall=lambda: 1700000000.25,
    )
    state = state_of(name="val", none=None, yes=True, no=False, float=1.5, list=[1, "a"])
    state.iteration, state.number = 2, 40
    state.rows["rows"] = source.take(state)
    assert render(text, state, scope) == expected
    assert scope.used == ({"rows"} if "data." in text else set())


def test_what_is_known_when_compiled_is_folded():
    """Literals, secrets, the run's id and calls on them cost nothing later."""
    scope = scope_of(secrets=Secrets({"key": Secret("hush")}))
    assert fold(parse('a${run.id}b${base64("${secret.key}")}c${scenario}'), scope) == ["arun-1baHVzaA==cs"]
    assert fold(parse(""), scope) == []


@given(st.integers(-1000, 1000), st.integers(0, 1000), st.integers(1, 10**6))
def test_random_whole_numbers_lie_within_their_bounds(low, span, seed):
    """Bounds are included, given as numbers or as variables."""
    state = state_of(seed=seed, low=low, high=str(low + span))
    assert low <= compile_value(parse(f"${{random.int({low}, {low + span})}}"), scope_of())(state) <= low + span
    assert low <= compile_value(parse("${random.int(low, high)}"), scope_of())(state) <= low + span
    assert low <= compile_value(parse("${random.float(low, high)}"), scope_of())(state) <= low + span


def test_both_bounds_are_drawn():
    """A range of two gives either."""
    draw, state = compile_value(parse("${random.int(1, 2)}"), scope_of()), state_of()
    assert {draw(state) for _ in range(100)} == {1, 2}


def test_a_choice_gives_each_of_its_values():
    """Values may be texts, numbers, or made each time."""
    draw = compile_value(parse('${random.choice("a", 2, name, "${name}!")}'), scope_of())
    state = state_of(name="n")
    assert {draw(state) for _ in range(200)} == {"a", 2, "n", "n!"}
    constant = compile_value(parse('${random.choice("a", "b")}'), scope_of())
    assert {constant(state) for _ in range(100)} == {"a", "b"}


@given(st.integers(0, 2**40))
def test_a_uuid_is_of_version_4(seed):
    """And of the variant that RFC 9562 says."""
    found = uuid.UUID(render("${uuid()}", state_of(seed=seed)))
    assert found.version == 4
    assert found.variant == uuid.RFC_4122


def test_a_random_text_has_its_length_and_only_letters_and_digits():
    """So that it may stand anywhere."""
    assert re.fullmatch("[A-Za-z0-9]{40}", render("${random.string(40)}", state_of()))
    assert render("${random.string(n)}", state_of(n="0")) == ""


def test_the_same_seed_and_id_draw_the_same():
    """And other virtual users other numbers."""
    draw = compile_value(parse("${random.int(1, 1000000000)}"), scope_of())
    first, again, other, reseeded = (
        draw(state) for state in (state_of(1), state_of(1), state_of(2), state_of(1, seed=9))
    )
    assert first == again
    assert len({first, other, reseeded}) == 3


def test_now_is_the_wall_clock_by_default():
    """In UTC."""
    assert datetime.fromisoformat(render("${now.iso()}", state_of())).tzinfo is not None


@pytest.mark.parametrize(
    "text",
    [
        "${random.int(word, 2)}",
        "${random.int(5, low)}",
        "${random.string(low)}",
        "${random.float(1, gone)}",
        "${random.string(big)}",
    ],
)
def test_a_value_that_does_not_fit_is_a_fault_of_the_iteration(text):
    """Not of the runner."""
    with pytest.raises(ValueFault):
        render(text, state_of(word="x", low=-1, big=10**9, yes=True))


def test_a_value_without_a_json_form_is_a_fault_of_the_iteration():
    """As an integer beyond 64 bits."""
    with pytest.raises(ValueFault, match="JSON"):
        join(json_pieces("${n}", scope_of()))(state_of(n=2**70))


@pytest.mark.parametrize("text", ["${secret.gone}", "${data.gone.a}", "${data.rows.gone}", "${vu.age}", "${a.b}", "${"])
def test_an_unknown_name_is_refused_when_compiled(text):
    """Validation says so with a hint; the compiler doesn't trust it."""
    source = Source("rows", [{"name": "ann"}], "sequential", Share())
    with pytest.raises(JourneyError):
        compile_text(parse(text), scope_of(sources={"rows": source}))


def test_a_number_is_one_in_a_document_too():
    """What a CSV file gives as text can be sent as a number."""
    found = join(json_pieces({"n": "${number(a)}", "m": "${number(b)}"}, scope_of()))
    assert found(state_of(a="2", b=1.5)) == b'{"n":2,"m":1.5}'


def test_every_function_of_the_grammar_is_compiled():
    """Neither side knows one that the other doesn't."""
    assert FUNCTIONS.keys() == template.FUNCTIONS.keys()


def test_whole_numbers_need_no_encoding():
    """The cheapest way gives the same bytes."""
    found = join([b"/p/", *pieces(parse("${a}"), scope_of(), str.encode)])
    assert found(state_of(a=12)) == b"/p/12"
    assert found(state_of(a=True)) == b"/p/true"
    assert join([]) == b""
    assert join([b"100%", *pieces(parse("${a}-${b}"), scope_of(), str.encode)])(state_of(a=1, b=2)) == b"100%1-2"
