"""Reports for terminals, pull requests and pipelines."""

import re
from xml.etree import ElementTree as ET

import pytest
import report_samples as samples

from loadgate.api.conditions import DoubtReason
from loadgate.metrics import Measurement, RequestStats, Trace, TraceStats, tags_of
from loadgate.report import render_text, text_lines
from loadgate.report.junit import render_junit
from loadgate.report.markdown import LONGEST, escape, render_markdown
from loadgate.report.rows import margin, printable
from loadgate.verdict import Doubt
from loadgate.verdict.limits import LimitResult

RESULTS = {
    "passed": samples.passed,
    "failed": samples.failed,
    "traced": samples.traced,
    "inconclusive": samples.inconclusive,
    "empty": samples.empty,
}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><!--",
    "\x1b[2J\x1b]0;owned\x07",
    "a\x00b\r\nc",
    "right\u202eto left",
    "| a | b |\n|--|--|",
    "@everyone #1 !2 https://evil.example www.evil.example",
    "[link](javascript:alert(1))",
    "]]>",
    "&amp;",
    "`code` *bold* __init__",
]


def hostile(text):
    """A result in which everything that others write is `text`."""
    measurement = samples.measured(seconds=8, rate=6, warmup=0, errors=0.5, names={text: ("GET", 10, 0.5)})
    measurement.traces[text] = TraceStats.of([Trace(text[:32], 1, 2, "a" * 32)])
    manifest = {**samples.MANIFEST, "metadata": {"name": text, "namespace": text}}
    spec = {"responseTime": {text or "x": {"p95": "1ms"}}}
    budget = {**samples.BUDGET, "metadata": {"name": "shop", "namespace": "shop"}, "spec": spec}
    doubt = Doubt(DoubtReason.RunnerLost, text, text)
    return samples.result(measurement, doubts=[doubt], manifest=manifest, budgets=[budget])


def test_the_text_of_a_failed_run_says_everything_that_matters():
    """Outcome first, then figures, each limit, what failed, and the endpoints."""
    text = render_text(samples.failed())
    lines = text.splitlines()
    assert lines[0] == "✗ Failed  shop/checkout, run 7"
    assert "of 12 limits are broken, the worst:" in lines[1]
    order = [lines.index(f"  {title}") for title in ("Limits", "Failed requests", "Endpoints")]
    assert order == sorted(order)
    limits = [line for line in lines if line.startswith(("  ✗ ", "  ✓ "))]
    assert len(limits) == 12
    assert re.search(r"✗ http_req_duration p\(95\) +< 500ms +\d+ms +\d+% over +threshold", text)
    assert re.search(r"✓ products throughput +≥ 10/s +[\d.]+/s +\d+% to spare +budget/shop", text)
    assert re.search(r"✓ http_req_failed rate +< 10% +[\d.]+% +\d+% to spare +threshold", text)
    assert re.search(r"\n +\d+  add to cart +(timeout|status 503)", text)
    assert all(re.search(rf"\n  {name} +\d+ ", text) for name in samples.ENDPOINTS)
    assert text.endswith("\n")


def test_broken_limits_come_first_and_the_tightest_before_the_others():
    """Who reads only the top reads what matters."""
    lines = [line for line in render_text(samples.failed()).splitlines() if line.startswith(("  ✗ ", "  ✓ "))]
    signs = [line[2] for line in lines]
    assert signs == sorted(signs, key="✗✓".index)
    assert "all requests error rate" in lines[0]


def test_doubts_are_said_with_figure_and_remedy():
    """Each doubt has its figure and its message; tolerated ones say that they are."""
    text = render_text(samples.inconclusive())
    assert text.startswith("? Inconclusive  ")
    assert "? CPULimit (97%)\n    runner 2 used 97% of its CPU" in text
    assert "? DroppedIterations (tolerated, 4.58%)" in text
    assert re.search(r"\? http_req_duration\{name:wishlist\} p\(95\) +< 400ms +no sample +- +threshold", text)


def test_a_run_of_nothing_has_no_empty_tables():
    """Without limits, requests or runners there are no headings over nothing."""
    text = render_text(samples.empty())
    assert "Limits" not in text
    assert "Endpoints" not in text
    assert "Failed requests" not in text
    assert "SetupFailed (setup)" in text


def test_spans_carry_tones_and_the_plain_text_is_their_sum():
    """Colours are the command's business: without them the spans are the text."""
    result = samples.failed()
    lines = text_lines(result)
    assert "".join("".join(span.text for span in line).rstrip() + "\n" for line in lines) == render_text(result)
    assert lines[0][0].tone == "failed"
    assert {span.tone for line in lines for span in line} >= {"failed", "passed", "strong", "quiet"}


def test_long_lists_and_names_are_cut():
    """Forty kinds of failure and an endless name leave a terminal usable."""
    measurement = Measurement(elapsed=1.0)
    for number in range(40):
        stats = RequestStats()
        stats.duration.record(1000)
        name = f"{number:02}" + "x" * 300
        measurement.requests[tags_of(name=name, status="500", expected_response="false")] = stats
    text = render_text(samples.result(measurement, limits={}, budgets=[]))
    assert "and 30 more kinds" in text
    assert max(map(len, text.splitlines())) < 140
    assert "…" in text


def test_notes_are_said():
    """What had to be given up to fit is in the report."""
    assert "To fit, slices are wide." in render_text(samples.noted())
    assert "To fit, slices are wide\\." not in render_markdown(samples.noted())
    assert "slices are wide" in render_markdown(samples.noted())


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_commands_a_terminal(text):
    """No control sign of a name reaches the terminal, and no name makes a line of its own."""
    said = render_text(hostile(text))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", said)
    assert len(said.splitlines()) == len(render_text(hostile("plain")).splitlines())


def test_invisible_signs_are_spelt_out():
    """What can't be seen is shown as its number; letters of any script stay."""
    assert printable("a\x1b\u202e\nb") == "a\\u001b\\u202e\\u000ab"
    assert printable("Größe 尺寸 🙂") == "Größe 尺寸 🙂"


@pytest.mark.parametrize(
    ("op", "room", "passed", "text"),
    [
        ("<", 0.123, True, "12% to spare"),
        ("<", 0.0123, True, "1.2% to spare"),
        ("<", 0.0, False, "0% over"),
        ("<=", -0.5, False, "50% over"),
        (">", -0.05, False, "5% short"),
        (">=", 3.0, True, "300% to spare"),
        ("<", -8.99, False, "899% over"),
        ("<", -46.47, False, "47 times the limit"),
        (">", 9.0, True, "10 times the limit"),
        ("==", None, True, "-"),
    ],
)
def test_a_margin_is_said_in_percent(op, room, passed, text):
    """Room to spare, over the limit, or short of it."""
    one = LimitResult("threshold", "s", "e", op, "1", 1.0, "", "1", 1.0, passed, room)
    assert margin(one) == text


def test_the_comment_has_a_verdict_line_a_table_and_folded_details():
    """GitHub shows the verdict and the limits; the rest is one click away."""
    comment = render_markdown(samples.failed())
    assert comment.startswith("### ❌ Failed: checkout\n\n")
    assert "| :-- | :-- | --: | --: | --: | :-- |" in comment
    assert comment.count("| ❌ broken |") == len(samples.failed().verdict.violations)
    assert "<details><summary>Endpoints</summary>\n\n| Endpoint |" in comment
    assert "<details><summary>Failed requests</summary>" in comment
    assert comment.count("<details>") == comment.count("</details>") == 3
    assert re.search(r"<sub>shop/checkout, run 7, loadgate 0\.1\.0</sub>\n$", comment)


def test_the_comment_lists_doubts():
    """A doubt that counts and one that is tolerated are told apart."""
    comment = render_markdown(samples.inconclusive())
    assert comment.startswith("### ⚠️ Inconclusive: checkout")
    assert "- **CPULimit** (97%): runner 2 used 97% of its CPU" in comment
    assert "- **DroppedIterations** (4.58%, tolerated):" in comment
    assert "| ❔ no sample |" in comment


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_becomes_markup_in_a_comment(text):
    """Names make no tags, no table cells, no mentions and no links."""
    comment = render_markdown(hostile(text))
    own = re.sub(r"</?(details|summary|sub)>|<!-- -->", "", comment)
    assert not re.search(r"(?<!\\)<(?!=)[a-zA-Z/!]", own)
    tables = [line for line in comment.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} <= {5, 6, 7, 10, 4}
    assert not re.search(r"@\w|https?://\w|www\.", comment)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b", "a\\_b"),
        ("<b>", "\\<b\\>"),
        ("@team", "@<!-- -->team"),
        ("50%", "50%"),
        ("p(95)", "p\\(95\\)"),
        ("http://x", "http:<!-- -->//x"),
        ("a\nb", "a\\\\u000ab"),
    ],
)
def test_markdown_is_escaped(text, escaped):
    """Each sign that means something to GitHub is made to mean itself."""
    assert escape(text) == escaped


def test_a_comment_is_never_too_long():
    """What GitHub would refuse is cut at a whole block, and says so."""
    doubts = [Doubt(DoubtReason.CPULimit, "word " * 200, "1") for _ in range(200)]
    comment = render_markdown(samples.result(Measurement(), doubts=doubts, limits={}, budgets=[]))
    assert len(comment) < LONGEST + 200
    assert comment.endswith("it is too long for a comment.\n")


def suites_of(result):
    """The parsed document and its suites by name."""
    root = ET.fromstring(render_junit(result))
    return root, {suite.get("name"): suite for suite in root}


def test_each_limit_is_a_test_case():
    """Suites are where limits come from; broken ones are failures with the figure in their message."""
    result = samples.failed()
    root, suites = suites_of(result)
    assert list(suites) == ["thresholds", "budget/shop", "doubts"]
    assert root.get("tests") == "13"
    assert root.get("failures") == str(len(result.verdict.violations))
    assert root.get("errors") == "0"
    failure = suites["budget/shop"].find("testcase[@name='products p95 ≤ 300ms']/failure")
    assert failure is not None
    assert re.fullmatch(r"products p95 is \d+ms, to be ≤ 300ms \(\d+% over\)", failure.get("message"))
    assert "responseTime p95 <= 300ms" in failure.text
    held = suites["thresholds"].find("testcase[@name='http_req_failed rate < 10%']/system-out")
    assert held.text.startswith("http_req_failed rate is")
    case = suites["doubts"].find("testcase")
    assert (case.get("name"), list(case)) == ("the measurement can be trusted", [])


def test_what_can_not_be_known_is_an_error():
    """A limit without a sample and a doubt are errors; a tolerated doubt is skipped."""
    root, suites = suites_of(samples.inconclusive())
    assert suites["thresholds"].find("testcase/error").get("type") == "NoSamples"
    doubts = {case.get("name"): case for case in suites["doubts"].iter("testcase")}
    assert doubts["CPULimit (97%)"].find("error").get("message").startswith("runner 2 used 97%")
    assert doubts["DroppedIterations (4.58%)"].find("skipped").get("message").startswith("tolerated: ")
    assert root.get("errors") == "3"
    assert root.get("skipped") == "1"
    assert sum(int(suite.get("errors")) for suite in root) == 3


def test_a_budget_that_warns_is_skipped_with_its_figure():
    """A pipeline isn't red for a warning, but shows it."""
    soft = {**samples.BUDGET, "spec": {**samples.BUDGET["spec"], "enforcement": "Warn"}}
    root, suites = suites_of(samples.result(samples.measured(slow=9.0, errors=0.004), limits={}, budgets=[soft]))
    assert root.get("failures") == "0"
    assert suites["budget/shop"].find("testcase/skipped").get("message").startswith("only a warning: ")


def test_an_aborted_run_is_an_error():
    """A run that was called off is neither a pass nor a failure."""
    _, suites = suites_of(samples.result(Measurement(), limits={}, budgets=[], aborted="the spec changed"))
    error = suites["doubts"].find("testcase/error")
    assert (error.get("type"), error.get("message")) == ("Aborted", "the spec changed")


def test_suites_carry_properties_and_the_text_report():
    """Which run it was is with each suite, and the report is at the end."""
    _, suites = suites_of(samples.passed())
    found = {one.get("name"): one.get("value") for one in suites["thresholds"].iter("property")}
    assert found["run"] == "checkout-3-x7k2f"
    assert found["test"] == "shop/checkout"
    assert found["verdict"] == samples.passed().verdict.outcome.value
    assert suites["thresholds"].get("timestamp") == "2026-11-24T08:15:00"
    assert "Endpoints" in suites["doubts"].find("system-out").text
    assert suites["thresholds"].find("testcase").get("classname") == "loadgate.shop.checkout.threshold"


@pytest.mark.parametrize("text", HOSTILE)
def test_the_document_is_xml_whatever_names_hold(text):
    """No name breaks the XML or adds an element to it."""
    root, suites = suites_of(hostile(text))
    assert set(suites) == {"thresholds", "budget/shop", "doubts"}
    allowed = {
        "testsuites",
        "testsuite",
        "testcase",
        "properties",
        "property",
        "failure",
        "error",
        "skipped",
        "system-out",
    }
    assert {element.tag for element in root.iter()} <= allowed


def test_traces_are_there_to_be_looked_up():
    """The slowest and the first failures are named with their whole ids; without traces there is nothing of them."""
    text, comment = render_text(samples.traced()), render_markdown(samples.traced())
    slowest = max(
        (trace for stats in samples.traced().measurement.traces.values() for trace in stats.slowest),
        key=lambda trace: trace.duration,
    )
    section = text.partition("  Traces to look up\n")[2].splitlines()
    assert section[0].split() == ["Endpoint", "What", "Took", "Ended", "at", "Trace", "id"]
    assert section[1].endswith(slowest.id)
    assert any("timeout" in row for row in section)
    assert any("status 503" in row for row in section)
    assert slowest.id in comment
    assert "Traces to look up" not in render_text(samples.failed()) + render_markdown(samples.failed())
