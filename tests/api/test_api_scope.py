"""Which names a template may use where it stands, and what is said of one that it may not."""

import pytest
from api_manifests import loadtest, put

from loadgate.api.faults import InvalidSpec
from loadgate.api.validate import validate_loadtest

TOKEN = {"request": {"url": "/"}, "extract": {"token": {"json": "$.token"}}}


def fault_of(text, before=(TOKEN,)):
    """The only fault of a scenario whose last request holds the text; None where there is none."""
    raw = loadtest()
    steps = [*before, {"request": {"url": "/", "json": {"deep": [text]}}}]
    raw["spec"]["scenarios"].append({"name": "probe", "executor": "constant-vus", "duration": "30s", "steps": steps})
    try:
        validate_loadtest(raw)
    except InvalidSpec as error:
        (fault,) = error.faults
        assert fault.path.startswith("spec.scenarios[2].steps")
        return fault
    return None


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "${token}",
        "${vu.id} ${vu.iteration} ${iteration} ${scenario} ${run.id} ${runner.index}",
        "${secret.password}",
        "${data.products.sku}",
        "${setup.session}",
        "${random.int(1, 3)}${uuid()}",
        '${base64("${token}:${secret.password}")}',
        "$${unknown}",
    ],
)
def test_known_names_may_be_used(text):
    """Built-in names, declared things, results of setup, functions and earlier variables are known."""
    assert fault_of(text) is None


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("${tokn}", "nothing before this gives 'tokn' a value", "did you mean 'token'?"),
        ("${state}", "nothing before this gives 'state' a value", "known:"),
        ("${token.id}", "a variable has no fields", "a variable of its own"),
        ("${vu.ide}", "there is no name 'vu.ide'", "did you mean 'vu.id'?"),
        ("${vu}", "there is no name 'vu'", "vu.id"),
        ("${secret.pasword}", "spec.secrets declares no 'pasword'", "did you mean 'password'?"),
        ("${secret}", "'secret' is not a whole name", "write ${secret.NAME}"),
        ("${password}", "nothing before this gives 'password' a value", "did you mean 'secret.password'?"),
        ("${data.products}", "'data.products' is not a whole name", "write ${data.SOURCE.COLUMN}"),
        ("${data.product.sku}", "spec.data has no 'product'", "did you mean 'products'?"),
        ("${data.products.sk}", "the data 'products' has no column 'sk'", "did you mean 'sku'?"),
        ("${products.sku}", "nothing before this gives 'products' a value", "did you mean 'data.products.sku'?"),
        ("${setup.sesion}", "setup extracts no 'sesion'", "did you mean 'session'?"),
        ("${session}", "nothing before this gives 'session' a value", "did you mean 'setup.session'?"),
        ("${uuid}", "nothing before this gives 'uuid' a value", "a function is called: ${uuid()}"),
        (
            "${random.int}",
            "nothing before this gives 'random' a value",
            "a function is called: ${random.int(lowest, highest)}",
        ),
        ("${uuidd()}", "there is no function 'uuidd'", "'uuid'"),
        ('${json("${tokn}")}', "nothing before this gives 'tokn' a value", "did you mean 'token'?"),
        ("${", "a name or a function is missing", "$${"),
    ],
)
def test_unknown_names_are_faults_with_a_hint(text, message, hint):
    """A name that isn't known is a fault, wherever it stands, and a near or a fuller one is offered."""
    fault = fault_of(text)
    assert fault is not None
    assert message in fault.message
    assert hint in fault.hint
    assert fault.path == "spec.scenarios[2].steps[1].request.json.deep[0]"


def test_a_variable_is_known_only_after_its_step():
    """A step can't use what it extracts itself, nor what comes later."""
    own = {"request": {"url": "/${token}"}, "extract": {"token": {"json": "$.t"}}}
    fault = fault_of("${token}", before=[own])
    assert fault is not None
    assert fault.path == "spec.scenarios[2].steps[0].request.url"


def test_what_inner_steps_extract_is_known_afterwards():
    """Variables of a group, a loop or a branch are known in the steps behind it."""
    inner = [{"request": {"url": "/"}, "extract": {"token": {"json": "$.t"}}}]
    for step in (
        {"group": {"name": "g", "steps": inner}},
        {"repeat": {"times": 1, "steps": inner}},
        {"while": {"value": "${vu.id}", "is": 1, "max": 1, "steps": inner}},
        {"if": {"value": "${vu.id}", "is": 1, "then": inner}},
        {"if": {"value": "${vu.id}", "is": 1, "then": [{"think": "1s"}], "else": inner}},
        {"choice": [{"steps": [{"think": "1s"}]}, {"steps": inner}]},
    ):
        assert fault_of("${token}", before=[step]) is None


def test_scenarios_do_not_share_variables():
    """What one scenario extracts is unknown in the next."""
    raw = loadtest()
    put(raw, ("spec", "scenarios", 1, "steps", 0, "request", "url"), "/${token}")
    with pytest.raises(InvalidSpec, match=r"scenarios\[1\].*nothing before this gives 'token'"):
        validate_loadtest(raw)


def test_setup_uses_its_own_variables_by_their_plain_names():
    """Within setup its results aren't results yet; afterwards they are `setup.NAME`, in teardown as well."""
    raw = loadtest()
    raw["spec"]["setup"]["steps"].append({"request": {"url": "/${session}"}})
    validate_loadtest(raw)
    raw["spec"]["setup"]["steps"].append({"request": {"url": "/${setup.session}"}})
    with pytest.raises(InvalidSpec, match=r"setup has no results while it runs \(within setup, write \$\{session\}\)"):
        validate_loadtest(raw)


def test_hints_say_where_nothing_is_declared():
    """Where there is nothing to choose from, the hint says so."""
    raw = loadtest()
    raw["spec"]["secrets"] = {}
    with pytest.raises(InvalidSpec, match=r"declares no 'password' \(nothing of the kind is declared\)"):
        validate_loadtest(raw)


def test_columns_of_files_are_not_known_beforehand():
    """A CSV's columns stand in its file, so any column may be named."""
    raw = loadtest()
    raw["spec"]["data"]["users"] = {"csv": {"configMapKeyRef": {"name": "users", "key": "users.csv"}}}
    put(raw, ("spec", "scenarios", 1, "steps", 0, "request", "url"), "/${data.users.anything}")
    validate_loadtest(raw)


def test_target_headers_may_use_what_every_request_can():
    """Headers of every request may hold secrets and results of setup, but no variable of a journey."""
    raw = loadtest()
    put(raw, ("spec", "target", "headers"), {"Authorization": "Bearer ${setup.session} ${secret.password} ${vu.id}"})
    validate_loadtest(raw)
