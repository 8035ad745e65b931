"""Templates: what parses, to what, and that writing a template down and reading it again changes nothing."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadgate.api.grammar import template
from loadgate.api.grammar.errors import GrammarError
from loadgate.api.grammar.template import Call, Name, Template

SEGMENTS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True)
NAMES = st.lists(SEGMENTS, min_size=1, max_size=3).map(lambda path: Name(tuple(path)))
LITERALS = st.text(min_size=1, max_size=12) | st.text(alphabet="${}\\\"'() ", min_size=1, max_size=8)


def merged(parts):
    """Parts as a parser gives them: no empty texts, no two in a row."""
    out = []
    for part in parts:
        if isinstance(part, str) and out and isinstance(out[-1], str):
            out[-1] += part
        elif part != "":
            out.append(part)
    return Template(tuple(out))


def templates(expressions):
    """Templates of literals and the given expressions."""
    return st.lists(LITERALS | expressions, max_size=5).map(merged)


CALLS = st.deferred(
    lambda: st.one_of(
        st.tuples(st.integers(-50, 50), st.integers(51, 10**15)).map(lambda args: Call("random.int", args)),
        st.tuples(st.sampled_from([0.5, -1.25, 3.0]), st.integers(4, 9)).map(lambda args: Call("random.float", args)),
        st.just(Call("uuid", ())),
        st.lists(templates(NAMES | CALLS), min_size=1, max_size=3).map(lambda args: Call("random.choice", tuple(args))),
        templates(NAMES | CALLS).map(lambda argument: Call("base64", (argument,))),
    )
)


def depth(value):
    """How deep calls and texts stand inside one another."""
    if isinstance(value, Template):
        return max((depth(part) for part in value.parts), default=0)
    if isinstance(value, Call):
        return 1 + max((depth(argument) for argument in value.args), default=0)
    return 0


@given(templates(NAMES | CALLS).filter(lambda found: depth(found) <= 3))
@example(Template(("a$", Name(("x",)))))
@example(Template(("$$$", Name(("x",)), "$")))
@example(Template(("${", Name(("x",)), "${}$${", Name(("y",)))))
def test_a_template_written_down_reads_back_as_itself(found):
    """str() and parse() are each other's inverse on templates."""
    assert template.parse(str(found)) == found


@given(st.text(max_size=50) | st.text(alphabet="${}a", max_size=12))
def test_an_escaped_text_parses_to_that_text(text):
    """Whatever a text holds, escaped it is a literal of just that text."""
    found = template.parse(template.escape(text))
    assert found.is_literal
    assert found.literal == text


@given(st.text(max_size=60) | st.text(alphabet="${}()\"',.az09 ", max_size=30))
def test_any_text_parses_or_is_refused_with_a_position_within_it(text):
    """No text makes the parser fail in another way."""
    found = fault = None
    try:
        found = template.parse(text)
    except GrammarError as error:
        fault = error
    if fault is None:
        assert template.parse(str(found)) == found
    else:
        assert fault.message
        assert 0 <= fault.position <= len(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("user${vu.id}@example.com", ("user", Name(("vu", "id")), "@example.com")),
        ("${ token }", (Name(("token",)),)),
        ("${data.users.e-mail}", (Name(("data", "users", "e-mail")),)),
        ("${data.rows.1}", (Name(("data", "rows", "1")),)),
        ("$${token}", ("${token}",)),
        ("$$${token}", ("$", Name(("token",)))),
        ("$$$${token}", ("$${token}",)),
        ("US$5 $ {x} $$", ("US$5 $ {x} $$",)),
        ("${random.int(1, 3)}", (Call("random.int", (1, 3)),)),
        ("${random.int(-3,+3)}", (Call("random.int", (-3, 3)),)),
        ("${random.float(0.5, 2)}", (Call("random.float", (0.5, 2)),)),
        ("${random.int(1, top)}", (Call("random.int", (1, Template((Name(("top",)),)))),)),
        ("${uuid( )}", (Call("uuid", ()),)),
        (
            '${base64("${user}:${secret.key}")}',
            (Call("base64", (Template((Name(("user",)), ":", Name(("secret", "key")))),)),),
        ),
        (
            "${random.choice('it\\'s', \"a}b\")}",
            (Call("random.choice", (Template(("it's",)), Template(("a}b",)))),),
        ),
        ('${json("a\\nb\\t\\\\")}', (Call("json", (Template(("a\nb\t\\",)),)),)),
        ("${base64(json(item))}", (Call("base64", (Template((Call("json", (Template((Name(("item",)),)),)),)),)),)),
    ],
)
def test_a_text_has_these_parts(text, parts):
    """The grammar by example."""
    assert template.parse(text) == Template(parts)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("${", "missing", "$${"),
        ("${}", "missing", "$${"),
        ("a ${token", "isn't closed", "$${"),
        ("${token extra}", "isn't closed", "$${"),
        ("${1 + 1}", "missing", "$${"),
        ("${random.itn(1, 2)}", "no function 'random.itn'", "'random.int'"),
        ("${os.system('x')}", "no function", "known:"),
        ("${uuid(1)}", "other arguments", "uuid()"),
        ("${random.int(1)}", "other arguments", "random.int(lowest, highest)"),
        ("${random.int('a', 2)}", "takes numbers", "random.int"),
        ("${random.int(3, 1)}", "lowest first", "random.int"),
        ("${random.int(1.5, 2)}", "whole numbers", "random.float"),
        ("${random.string(-1)}", "length", "random.string"),
        ("${random.string(2.5)}", "length", "random.string"),
        ("${random.string(70000)}", "length", "random.string"),
        ("${base64(a b)}", "`,` or `)`", ""),
        ("${base64(,a)}", "missing", ""),
        ("${base64('a)}", "missing", ""),
        ("${" + "json(" * 9 + "x" + ")" * 9 + "}", "deeper", ""),
        ("x" * (template.LONGEST_TEMPLATE + 1), "longer", ""),
    ],
)
def test_a_wrong_text_is_refused_with_what_would_be_right(text, message, hint):
    """Each fault says what is wrong and helps."""
    with pytest.raises(GrammarError) as raised:
        template.parse(text)
    assert message in raised.value.message
    assert hint in raised.value.hint


# Counting each line for coverage takes 10 s here on a slow machine; what grows by the square takes many minutes.
@pytest.mark.timeout(100)
@pytest.mark.parametrize(
    "text", ["$" * (1 << 20), "$" * 1_000_000 + "{", "${a}" * 200_000, "{" * (1 << 20), "$$" * 300_000 + "{a}"]
)
def test_a_long_text_takes_linear_time(text):
    """No manifest holds validation up."""
    parsed = template.parse(text)
    assert template.parse(str(parsed)) == parsed


@pytest.mark.timeout(100)
def test_an_unclosed_quote_takes_linear_time():
    """Nor does one that is refused."""
    with pytest.raises(GrammarError):
        template.parse("${json('" + "a\\'" * 200_000)


def test_quoted_texts_nest_no_deeper_than_calls_may():
    """A text within a text within … is bounded too."""
    text = "x"
    for _ in range(12):
        inner = text.replace("\\", "\\\\").replace('"', '\\"')
        text = f'${{json("{inner}")}}'
    with pytest.raises(GrammarError, match="deeper"):
        template.parse(text)


@pytest.mark.parametrize(("argument", "deepest"), [("x", 8), ("'x'", 7), ("1", 8)])
def test_calls_nest_so_deep_and_no_deeper(argument, deepest):
    """A text counts as a level of its own, since it may hold calls again."""
    for depth, parses in ((1, True), (deepest, True), (deepest + 1, False)):
        text = "${" + "json(" * depth + argument + ")" * depth + "}"
        if parses:
            assert template.parse(text).functions() == {"json"}
        else:
            with pytest.raises(GrammarError, match="deeper"):
                template.parse(text)


def test_names_and_functions_are_found_at_any_depth():
    """Validation sees what is within calls and quoted texts too."""
    found = template.parse('${a}/${base64("${b.c}:${json(d)}")}/${random.int(1, e)}')
    assert found.names() == {("a",), ("b", "c"), ("d",), ("e",)}
    assert found.functions() == {"base64", "json", "random.int"}


def test_a_template_of_one_expression_says_so():
    """Such a template keeps its value's type."""
    assert template.parse("${a}").single == Name(("a",))
    assert template.parse("${a} ").single is None
    assert template.parse("a").single is None
    assert template.parse("").single is None
    assert not template.parse("x${a}").is_literal


ARITIES = {
    "random.int": {2}, "random.float": {2}, "random.choice": set(range(1, 101)), "random.string": {1}, "uuid": {0},
    "now.unix": {0}, "now.ms": {0}, "now.iso": {0}, "base64": {1}, "urlencode": {1}, "json": {1}, "number": {1},
}  # fmt: skip


@pytest.mark.parametrize("name", template.FUNCTIONS)
def test_a_function_takes_so_many_arguments(name):
    """No more and no fewer."""
    taken = set()
    for count in range(104):
        try:
            template.parse(f"${{{name}({', '.join(map(str, range(count)))})}}")
        except GrammarError:
            continue
        taken.add(count)
    assert taken == ARITIES[name]


def test_a_declared_thing_has_a_name_of_so_many_segments():
    """Validation refuses any other."""
    assert template.NAME_SPACES == {"secret": 2, "data": 3, "setup": 2}
    assert all(len(path) in {1, 2} for path in template.BUILT_IN_NAMES)


def test_every_function_has_an_example_that_parses():
    """The usage that a hint shows is valid itself."""
    words = {"lowest": "1", "highest": "2", "length": "8", "value": '"v"', ", …": ""}
    for name, function in template.FUNCTIONS.items():
        usage = function.usage
        for word, written in words.items():
            usage = usage.replace(word, written)
        assert template.parse(f"${{{usage}}}").functions() == {name}
