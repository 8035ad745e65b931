"""Where load may go: rules that are read, held against hosts and addresses, and against what a test says outright."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loadgate.api.validate import validate_loadtest
from loadgate.plan import Plan, PlanError, TargetRuleError, Targets, compile_plan, target_faults
from loadgate.plan.hosts import RESERVED, host_of
from loadgate.plan.targets import MOST_RULES

CASES = yaml.safe_load((Path(__file__).parent / "target_cases.yaml").read_text(encoding="utf-8"))
ALL = [(tuple(group["rules"]), *case) for group in CASES for case in group["cases"]]

METADATA = ip_address("169.254.169.254")
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]([a-z0-9-]{0,8}[a-z0-9])?){0,3}", fullmatch=True)
V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6)


def load_test(url, *steps, **spec):
    scenario = {"name": "a", "executor": "shared-iterations", "steps": list(steps) or [get("/")]}
    manifest = {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": "t", "namespace": "shop"},
        "spec": {"target": {"url": url}, "scenarios": [scenario], **spec},
    }
    return validate_loadtest(manifest)


def get(url):
    return {"request": {"url": url}}


@pytest.mark.parametrize(("rules", "url", "address", "who"), ALL, ids=str)
def test_the_operator_and_the_runners_hold_to_the_table(rules, url, address, who):
    """The operator refuses what can't be allowed whatever it resolves to, the runner judges the address; both by one table."""
    targets = Targets(rules)
    assert (not target_faults(load_test(url), targets)) is ("o" in who)
    assert targets.allows(host_of(url), ip_address(address)) is ("r" in who)


@pytest.mark.parametrize(("rules", "url", "address", "who"), ALL, ids=str)
def test_who_sees_less_is_never_stricter(rules, url, address, who):
    """Nobody refuses what the next one, who sees more, would let pass."""
    assert who in {"opr", "op-", "-p-", "---"}


GOOD = [
    "a",
    "A.b.C",
    "shop.default.svc.",
    "*.x.example",
    "_srv.x",
    "bücher.example",
    "10.0.0.1",
    "10.0.0.0/8",
    "::1",
    "fd00::/8",
]


@pytest.mark.parametrize("rule", GOOD)
def test_rules_are_kept_as_they_were_written(rule):
    """What the platform wrote is what a plan and a message show."""
    assert Targets([rule]).rules == (rule,)
    assert rule in str(Targets([rule]))


BAD = {
    "": "no host",
    "http://shop": "its host only",
    "me@shop": "its host only",
    "shop:8080": "no port",
    "[::1]:80": "no port",
    "[::1]": "no brackets",
    "*": "0.0.0.0/0 and ::/0",
    "*.": "no host",
    "**.example.com": "no host",
    "shop.*.svc": "no host",
    "a..b": "no host",
    "-a.example": "no host",
    "a b": "no host",
    "10.1.2": "write an address as in",
    "010.0.0.1": "write an address as in",
    "2130706433": "write an address as in",
    "0x7f.1": "write an address as in",
    "*.1": "write an address as in",
    "10.1.2.3/8": "write 10.0.0.0/8, or 10.1.2.3 for this address alone",
    "fd00::1/8": "write fd00::/8",
    "10.0.0.0/33": "not a network",
    "shop/24": "not a network",
    "fe80::1%eth0": "without it",
    "::ffff:10.1.2.3": "write 10.1.2.3/32",
    "::ffff:10.0.0.0/104": "write 10.0.0.0/8",
    "64:ff9b::/96": "write 0.0.0.0/0",
    "a" * 64 + ".example": "no host",
    "a." * 200 + "a": "longer than 256",
}


@pytest.mark.parametrize("rule", BAD, ids=lambda rule: rule[:20])
def test_a_rule_that_is_none_is_refused_with_what_to_write(rule):
    """Nothing is guessed: a rule that could be misread is an error that quotes it and says what would be right."""
    with pytest.raises(TargetRuleError, match=r".") as caught:
        Targets([rule])
    assert BAD[rule] in str(caught.value)
    assert rule[:40] in str(caught.value)


def test_all_faults_of_rules_are_said_at_once():
    """Who mends rules mends them once."""
    with pytest.raises(TargetRuleError, match=r"'shop:80'.*; '10\.1\.2\.3/8'"):
        Targets(["fine.example", "shop:80", "10.1.2.3/8"])


def test_rules_are_bounded():
    """So is what they cost."""
    Targets([f"a{n}" for n in range(MOST_RULES)] * 2)
    with pytest.raises(TargetRuleError, match="at most"):
        Targets([f"a{n}" for n in range(MOST_RULES + 1)])


@given(host=NAMES, address=V4 | V6)
def test_without_rules_anything_goes_but_what_is_reserved(host, address):
    """An empty list closes reserved addresses only."""
    closed = any(address in network for network in RESERVED)
    if address.version == 4:
        assert Targets().allows(host, address) is not closed
    elif closed:
        assert not Targets().allows(host, address)


@given(name=NAMES, other=NAMES, address=V4)
def test_a_name_allows_itself_and_a_wildcard_what_is_below_it(name, other, address):
    """Names are compared whole, wildcards by whole labels, with any case and a last dot."""
    plain = not any(address in network for network in RESERVED if network.version == 4)
    assert Targets([name]).allows(name + ".", address) is plain
    assert Targets([name.upper()]).allows(name, address) is plain
    assert Targets([name]).allows(other, address) is (plain and other == name)
    below = Targets([f"*.{name}"])
    assert below.allows(f"{other}.{name}", address) is plain
    assert not below.allows(name, address)
    assert not below.allows(f"{other}{name}", address)


@given(address=V4, near=st.integers(0, 2**32 - 1), length=st.integers(0, 32))
def test_a_network_allows_what_is_in_it(address, near, length):
    """An address is allowed exactly where a listed network has it and, if it is reserved, is within the same block."""
    network = ip_network((int(address), length), strict=False)
    inside = IPv4Address(int(network.network_address) | near & int(network.hostmask))
    for one in (inside, IPv4Address(near)):
        blocks = [block for block in RESERVED if one in block]
        expected = one in network and all(block.supernet_of(network) for block in blocks)
        assert Targets([str(network)]).allows("any.example", one) is expected


@given(address=V4, rules=st.sampled_from([(), ("10.0.0.0/8",), ("0.0.0.0/0",), ("any.example",), ("169.254.0.0/16",)]))
def test_an_ipv4_address_is_judged_the_same_in_every_form(address, rules):
    """Mapped into IPv6, or by NAT64, it is the same address."""
    targets = Targets(rules)
    for prefix in ("::ffff:0:0", "64:ff9b::"):
        assert targets.allows("any.example", IPv6Address(int(ip_address(prefix)) + int(address))) is targets.allows(
            "any.example", address
        )


@given(
    rules=st.lists(NAMES.map("*.{}".format) | NAMES | st.sampled_from(["0.0.0.0/0", "::/0", "10.0.0.0/8", "fc00::/7"])),
    host=NAMES,
)
def test_no_rule_but_its_own_opens_metadata(rules, host):
    """Whatever else is listed, and whatever the name, a metadata address stays closed in all of its forms."""
    targets = Targets(rules)
    number = int(METADATA)
    forms = [
        METADATA,
        IPv6Address(int(ip_address("::ffff:0:0")) + number),
        IPv6Address(int(ip_address("64:ff9b::")) + number),
        IPv6Address((0x2002 << 112) + (number << 80)),
        IPv6Address((0x2001_0000 << 96) + (number << 64)),
        IPv6Address((0x2001_0000 << 96) + (~number & 0xFFFF_FFFF)),
    ]
    assert not any(targets.allows(host, form) for form in forms)
    assert Targets([*rules, "169.254.169.254"]).allows(host, METADATA)


@given(host=NAMES | V4.map(str) | V6.map(str), address=V4 | V6, rules=st.lists(NAMES | V4.map(str), max_size=3))
def test_what_is_refused_at_once_would_never_have_been_allowed(host, address, rules):
    """The operator's refusal, which knows no address, is never stricter than the runner's."""
    targets = Targets(rules)
    if targets.refusal(host):
        to = [ip_address(host)] if host.replace(".", "").isdigit() or ":" in host else [address]
        assert not any(targets.allows(host, one) for one in to)


def test_messages_say_what_is_allowed_and_what_is_reserved():
    """A refusal names the host, the address that it has, and either the rules or what the address is."""
    targets = Targets(["*.staging.svc", "10.0.0.0/8"])
    said = targets.denial("shop.example", [IPv4Address("192.0.2.1")])
    assert said == "load may not go to shop.example (192.0.2.1); it may go to *.staging.svc, 10.0.0.0/8"
    said = targets.denial("169.254.169.254", [METADATA])
    assert said.startswith("load may not go to 169.254.169.254: it is a link-local address")
    mapped = ip_address("::ffff:a9fe:a9fe")
    said = targets.denial("a.staging.svc", [mapped])
    assert said.startswith(f"load may not go to a.staging.svc ({mapped}): 169.254.169.254 is a link-local address")
    many = Targets([f"a{n}" for n in range(20)])
    assert str(many).endswith("a7 and 12 more")


def test_every_url_that_is_written_out_is_found_with_its_path():
    """Also in setup, teardown and nested steps; what a template makes, and paths, can't be judged."""
    allowed = Targets(["ok.example"])
    steps = [
        get("http://a.example/x"),
        {
            "group": {
                "name": "g",
                "steps": [
                    {"if": {"value": "1", "is": "1", "then": [get("/")], "else": [get("HTTP://B.example?q=${vu.id}")]}}
                ],
            }
        },
        {"choice": [{"weight": 1, "steps": [get("https://c.example:8443/${iteration}")]}]},
        get("http://${vu.id}.example/"),
        get("http://d.${vu.id}"),
        get("http://ok.example/${vu.id}"),
        get("/a?next=http://e.example"),
        get("http://169.254.169.254/latest"),
    ]
    test = load_test(
        "http://ok.example",
        *steps,
        setup={"steps": [get("http://f.example")]},
        teardown={"steps": [get("http://10.0.0.1")]},
    )
    assert [fault.path for fault in target_faults(test, allowed)] == [
        "spec.setup.steps[0].request.url",
        "spec.teardown.steps[0].request.url",
        "spec.scenarios[0].steps[0].request.url",
        "spec.scenarios[0].steps[1].group.steps[0].if.else[0].request.url",
        "spec.scenarios[0].steps[2].choice[0].steps[0].request.url",
        "spec.scenarios[0].steps[7].request.url",
    ]
    assert [fault.path for fault in target_faults(test, Targets())] == ["spec.scenarios[0].steps[7].request.url"]
    assert "allowedTargets" in str(target_faults(test, allowed)[0])


def test_a_proxy_is_somewhere_that_load_goes():
    """Its host is held to the rules as the target's is."""
    test = load_test("http://ok.example")
    proxied = load_test("", target={"url": "http://ok.example", "proxy": {"url": "http://169.254.1.1:3128"}})
    for rules in ([], ["ok.example"]):
        assert target_faults(test, Targets(rules)) == []
        assert [fault.path for fault in target_faults(proxied, Targets(rules))] == ["spec.target.proxy.url"]


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ([], True),
        (["unix:/run/shop/a.sock"], True),
        (["unix:/run/shop/*"], True),
        (["unix:/run/*"], True),
        (["unix:/run/shop"], False),
        (["unix:/run/sho/*"], False),
        (["shop.test", "0.0.0.0/0", "*.run"], False),
    ],
)
def test_a_unix_socket_is_allowed_where_a_rule_lists_it(rules, allowed):
    """Its path, or a folder above it; no rule on names or addresses lists one, and without rules there is no limit."""
    refusal = Targets(rules).socket_refusal("/run/shop/a.sock")
    assert (refusal == "") is allowed
    assert allowed or refusal.startswith("load may not go to unix:/run/shop/a.sock; it may go to ")


@pytest.mark.parametrize("rule", ["unix:", "unix:run/a", "unix:/", "unix:/a/../b", "unix:/a/*/b", "unix:/a*", "unix:*"])
def test_what_is_no_sockets_path_is_refused(rule):
    """With words for what would be right."""
    with pytest.raises(TargetRuleError, match="write unix:/run/shop"):
        Targets([rule])


def test_an_operator_starts_no_test_of_a_socket_that_is_not_listed():
    """Its path is at fault, and the URL's host is judged as ever."""
    test = load_test("", target={"url": "http://shop.test", "connection": {"unixSocket": "/run/shop.sock"}})
    assert [fault.path for fault in target_faults(test, Targets(["shop.test"]))] == [
        "spec.target.connection.unixSocket"
    ]
    assert [fault.path for fault in target_faults(test, Targets(["unix:/run/*"]))] == ["spec.target.url"]
    assert target_faults(test, Targets(["unix:/run/*", "shop.test"])) == []


def test_faults_of_one_test_are_bounded():
    """A thousand wrong URLs don't make a status of a thousand."""
    test = load_test("http://no.example", *[get("http://no.example")] * 100)
    assert len(target_faults(test, Targets(["ok.example"]))) == 20


def test_a_plan_carries_the_rules():
    """What runners hold to comes with what they do, and rules that can't be held to make no plan."""
    plan = compile_plan(load_test("http://shop"), run="r", allowed_targets=("shop", "10.0.0.0/8"))
    assert Plan.decode(plan.encode()).allowed_targets == ["shop", "10.0.0.0/8"]
    with pytest.raises(PlanError, match="shop:80"):
        Plan.decode(plan.encode().replace(b'"shop"', b'"shop:80"'))


def test_every_kind_of_step_that_connects_is_looked_at():
    """Operations, event streams, WebSockets and gRPC calls are held to the rules as requests are, with ws read as http."""
    steps = [
        {"graphql": {"url": "http://a.example/graphql", "query": "{ a }"}},
        {"sse": {"url": "http://b.example/events", "for": "1s"}},
        {"websocket": {"url": "ws://c.example/socket"}},
        {"websocket": {"url": "WSS://d.example:8443/socket"}},
        {"grpc": {"method": "a.B/C", "url": "grpc://e.example:1"}},
        {"websocket": {"url": "ws://ok.example/socket"}},
        {"grpc": {"method": "a.B/C"}},
    ]
    faults = target_faults(load_test("http://ok.example", *steps), Targets(["ok.example"]))
    kinds = ("graphql", "sse", "websocket", "websocket", "grpc")
    assert [fault.path for fault in faults] == [
        f"spec.scenarios[0].steps[{index}].{kind}.url" for index, kind in enumerate(kinds)
    ]
