"""The HTML report: one file, no network, whatever names hold, and readable by everyone."""

import base64
import hashlib
import json
import re
from collections import Counter
from functools import cache
from html import unescape
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

import pytest
import report_samples as samples

from loadgate.api.conditions import DoubtReason
from loadgate.metrics import Measurement
from loadgate.report.charts import bins, charts, dense, width_of
from loadgate.report.html import render_html
from loadgate.report.markup import Markup, join, raw, tag
from loadgate.verdict import Doubt

RESULTS = {
    "passed": samples.passed,
    "failed": samples.failed,
    "traced": samples.traced,
    "inconclusive": samples.inconclusive,
    "empty": samples.empty,
    "aborted": samples.aborted,
}
VOID = {"meta", "br", "link"}


class Page(HTMLParser):
    """The elements of a page; an element that isn't closed where it should be is an error."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], Counter()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, name, attributes):
        assert len(dict(attributes)) == len(attributes)
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(name)

    def handle_startendtag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if self.open:
            self.text[self.open[-1]] += 1

    def all(self, name, **attributes):
        """The attributes of every element of that name that has these attributes."""
        wanted = attributes.items()
        return [found for one, found in self.elements if one == name and all(found.get(k) == v for k, v in wanted)]


@cache
def page_of(name):
    """A sample's page, as text."""
    return render_html(RESULTS[name]())


def data_of(text):
    """What is embedded in a page."""
    found = re.search(r'<script type="application/json" id="loadgate-data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found[1])


@pytest.mark.parametrize("name", RESULTS)
def test_every_page_is_well_formed(name):
    """Elements nest, ids are unique, and what refers to an id refers to one that is there."""
    page = Page(page_of(name))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for key in ("aria-labelledby", "for"):
            assert attributes.get(key, ids[0]) in ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids
    assert page_of(name).startswith("<!DOCTYPE html>\n<html ")
    assert page.all("html", lang="en")


@pytest.mark.parametrize("name", RESULTS)
def test_a_page_has_landmarks_and_one_main_heading(name):
    """Whoever can't see the page can find their way: landmarks, headings in order, a skip link, labelled regions."""
    page = Page(page_of(name))
    assert [len(page.all(one)) for one in ("header", "main", "footer", "h1", "nav")] == [1, 1, 1, 1, 1]
    assert page.all("a", href="#main")
    levels = [int(one[1]) for one, _ in page.elements if re.fullmatch(r"h[1-6]", one)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(found.get("scope") for found in page.all("th"))
    assert all(found.get("aria-label") for found in page.all("div", role="group"))
    assert all(found.get("aria-label") or found.get("aria-hidden") for found in page.all("svg"))
    assert all(found.get("aria-label") and found.get("tabindex") == "0" for found in page.all("div", role="img"))


@pytest.mark.parametrize("name", RESULTS)
def test_nothing_leaves_the_page(name):
    """The policy forbids every request, and nothing in the page would make one."""
    text = page_of(name)
    page = Page(text)
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; ")
    assert "unsafe" not in policy["content"]
    assert not page.all("link")
    assert not page.all("img")
    assert not any("src" in attributes or "style" in attributes for _, attributes in page.elements)
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    assert all(found["href"].startswith("#") for found in page.all("a"))
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import\(", text)


def test_the_policy_allows_exactly_what_is_in_the_page():
    """Each style and script is allowed by the hash of its text, or the browser would refuse it."""
    text = page_of("failed")
    allowed = set(re.findall(r"'sha256-([^']+)'", unescape(text)))
    found = re.findall(r"<style>(.*?)</style>|<script>(.*?)</script>", text, re.DOTALL)
    hashes = {base64.b64encode(hashlib.sha256((a or b).encode()).digest()).decode() for a, b in found}
    assert hashes == allowed
    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("name", "words"),
    [("passed", "Passed"), ("failed", "Failed"), ("inconclusive", "Inconclusive"), ("aborted", "Aborted")],
)
def test_the_verdict_is_on_top(name, words):
    """Title, first heading and the page's mood say the outcome."""
    text = page_of(name)
    assert f"<title>{words}: shop/checkout, run 7</title>" in text
    assert re.search(rf"<h1 [^>]*>.*?{words}</h1>", text)
    assert f'data-outcome="{name}"' in text


def test_each_limit_is_listed_with_actual_value_and_margin():
    """The page shows every limit, and draws the actual value against it."""
    result = samples.failed()
    text = page_of("failed")
    page = Page(text)
    for limit in result.verdict.limits:
        assert f">{limit.subject}<" in text
        assert f">{limit.actual}<" in text
    assert len(page.all("svg", **{"class": "margin"})) == len(result.verdict.limits)
    assert len(page.all("tr", **{"class": "broken"})) == len(result.verdict.violations)


def test_it_reads_without_javascript():
    """Every plot has its place and its data as a table; endpoints, phases, runners and manifests are there as text."""
    text = page_of("failed")
    page = Page(text)
    plots = [found["id"] for found in page.all("div", role="img")]
    assert plots == [f"plot-{one}" for one in ("latency", "requests", "failures", "vus", "percentiles", "histogram")]
    assert text.count("<summary>Show as a table</summary>") == len(plots) + 1
    for name in samples.ENDPOINTS:
        assert re.search(rf'<th scope="row" class="name">{name}</th>', text)
    assert "LoadTest checkout" in text
    assert "PerformanceBudget shop" in text
    assert "executor: ramping-vus" in text
    assert len(page.all("div", **{"class": "phase-row"})) == len(samples.ENDPOINTS)
    assert "node-1" in text
    assert "loadgate 0.1.0" in text
    assert "uPlot 1.6.32" in text


def test_a_name_at_the_beginning_of_a_sentence_keeps_its_spelling():
    """Words begin large, names of fields don't."""
    assert ">spec.suspend is true.</p>" in page_of("aborted")
    assert ">The setup failed, so no load was made: POST /login answered 500.</p>" in page_of("empty")


def test_a_broken_limit_that_only_warns_is_told_from_one_that_counts():
    """A warning is neither green nor red: it says that it is only a warning."""
    page = Page(page_of("aborted"))
    assert page.all("tr", **{"class": "warned"})
    assert not page.all("tr", **{"class": "broken"})
    assert "broken, only a warning" in page_of("aborted")


def test_doubts_are_shown_only_where_there_are_any():
    """A run without doubts has no section about them."""
    assert 'id="doubts"' not in page_of("passed")
    text = page_of("inconclusive")
    assert 'id="doubts"' in text
    assert "Runner 2 used 97% of its CPU" in text
    assert "4.58%, tolerated" in text


def test_an_empty_run_says_that_it_is_empty():
    """Nothing measured, nothing asked: the page says so in place of empty plots."""
    text = page_of("empty")
    assert "Nothing was measured." in text
    assert "neither thresholds nor budgets" in text
    page = Page(text)
    assert not page.all("div", role="img")
    for name in ("distribution", "endpoints", "phases", "runners"):
        assert f'id="{name}"' not in text


def test_a_run_that_never_began_has_no_times():
    """Empty times of a run leave out what can't be said."""
    result = samples.empty()
    never = samples.changed(result, run=samples.changed(result.run, started_at="", finished_at="", spec_hash=""))
    text = render_html(never)
    assert "Took" not in text
    assert "finished never" in text
    assert "spec unknown" in text


def test_notes_and_warm_up_are_said():
    """What was given up to fit is in the footer; without a warm-up nothing speaks of one."""
    assert "To fit, slices are wide." in render_html(samples.noted())
    assert "The warm-up is shaded" in page_of("passed")
    bare = samples.changed(samples.passed(), plan={})
    assert "warm-up" not in render_html(bare).split("<script")[0].lower()


def test_the_embedded_result_is_machine_readable():
    """The page holds the result and the series that it draws."""
    embedded = data_of(page_of("failed"))
    result = samples.failed()
    assert embedded["result"]["verdict"] == json.loads(json.dumps(result.verdict.to_json()))
    assert embedded["result"]["run"]["number"] == 7
    assert "measurement" not in embedded["result"]
    drawn = embedded["charts"]
    assert len(drawn["time"]) == len(drawn["requests"]) == len(drawn["latency"]["*"]["p95"])
    assert set(samples.ENDPOINTS) < set(drawn["latency"])
    assert drawn["limits"]["*"][0]["of"] in {"p95", "p99"}
    assert {one["ms"] for one in drawn["limits"]["products"]} == {300.0, 500.0}


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</script><!--<script>",
        "' onmouseover='alert(1)",
        "\u2028\u2029\u202e\x1b[2J\x00",
        "&lt;b&gt; & <b>",
        "{{constructor}}${x}",
    ],
)
def test_nothing_becomes_an_element(text):
    """Whatever a manifest or a target puts into names, the page has the same elements as with a plain name."""
    assert shape(hostile(text)) == shape(hostile("plain"))
    assert data_of(hostile(text))["result"]["manifest"]["metadata"]["name"] == text


def shape(text):
    """The elements of a page and their classes, in order."""
    return [(name, attributes.get("class")) for name, attributes in Page(text).elements]


@cache
def hostile(text):
    """The page of a result in which everything that others write is `text`."""
    measurement = samples.measured(seconds=8, rate=6, warmup=0, errors=0.5, names={text: ("GET", 10, 0.5)})
    spec = {"target": {"url": text}, "thresholds": {text: [text]}}
    manifest = {"kind": text, "metadata": {"name": text, "namespace": text}, "spec": spec}
    doubt = Doubt(DoubtReason.RunnerLost, text, text)
    budgets = [{**samples.BUDGET, "spec": {"responseTime": {text: {"p95": "1ms"}}}}]
    result = samples.result(measurement, doubts=[doubt], manifest=manifest, budgets=budgets)
    run = samples.changed(result.run, id=text, cause=text, started_at=text, finished_at=text, spec_hash=text)
    runner = samples.changed(result.runners[0], node=text, state=text, uid=text)
    return render_html(samples.changed(result, run=run, runners=(runner,), loadgate=text, notes=(text,)))


def test_a_page_of_a_long_run_stays_below_a_megabyte():
    """Fifty endpoints over the most slices that there can be."""
    names = {f"a rather long name of endpoint number {n}": ("GET", 20 + n, 0.6) for n in range(50)}
    measurement = samples.measured(seconds=256, rate=150, names=names, warmup=0)
    page = render_html(samples.result(measurement, runners=200))
    assert len(page.encode()) < 1_000_000


def test_the_assets_are_in_the_package_with_their_licence():
    """What is vendored is there with where it is from and under which licence."""
    assets = files("loadgate.report").joinpath("assets")
    names = {one.name for one in assets.iterdir()}
    assert {"uPlot.iife.min.js", "uPlot.min.css", "uPlot.LICENSE", "VERSIONS", "report.js", "report.css"} <= names
    assert "uPlot 1.6.32" in assets.joinpath("VERSIONS").read_text()
    assert "(v1.6.32)" in assets.joinpath("uPlot.iife.min.js").read_text()


def colours():
    """Every colour of the style sheet as (light, dark), by name."""
    css = files("loadgate.report").joinpath("assets", "report.css").read_text()
    found = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", css)
    return {name: (light, dark) for name, light, dark in found}


def contrast(one, other):
    """The contrast of two colours as WCAG 2 defines it."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    """The relative luminance of a colour."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["ground", "sheet", "faint"])
@pytest.mark.parametrize("ink", ["ink", "soft", "link", "passed", "failed", "inconclusive", "aborted"])
def test_text_has_contrast_in_both_themes(ink, ground, theme):
    """Every colour of text on every ground passes WCAG AA."""
    assert contrast(colours()[ink][theme], colours()[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("line", ["low", "middle", "high", "plain", "bad", "calm", "phase-waiting", "phase-connecting"])
def test_lines_have_contrast_in_both_themes(line, theme):
    """What is drawn stands out from the ground by 3 to 1 at least."""
    assert contrast(colours()[line][theme], colours()["sheet"][theme]) >= 3


def test_slices_are_dense_and_can_be_merged():
    """A second in which nothing happened is a gap, not missing; merged slices lose no request."""
    measurement = Measurement()
    for second, us in ((0, 1000), (1, 2000), (9, 3000)):
        measurement.slices.at(second).duration.record(us)
        measurement.slices.at(second).requests += 1
    assert [piece.requests for piece in dense(measurement.slices)] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert [piece.requests for piece in dense(measurement.slices, 4)] == [2, 0, 0, 1]
    assert width_of(measurement.slices, 4) == 3
    assert (dense(Measurement().slices), width_of(Measurement().slices, 4)) == ([], 1)


def test_series_have_gaps_where_nothing_was_measured():
    """A percentile of no request is a gap; a rate of no request is 0."""
    measurement = Measurement()
    measurement.slices.at(0).duration.record(41_000)
    measurement.slices.at(0).requests = 1
    measurement.slices.at(2).failed = 3
    drawn = charts(samples.result(measurement, limits={}, budgets=[]))
    assert drawn["latency"] == {"*": {"p50": [41.0, None, None], "p95": [41.0, None, None], "p99": [41.0, None, None]}}
    assert drawn["requests"] == [1.0, 0.0, 0.0]
    assert drawn["failed"] == [0.0, 0.0, 3.0]
    assert drawn["distribution"] == {}


def test_the_distribution_holds_every_request():
    """The histogram's bins add up to the number of requests and follow each other without a gap."""
    samples_of = samples.failed().measurement.select_requests().duration
    found = bins(samples_of)
    assert sum(n for _, _, n in found) == samples_of.count
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert bins(type(samples_of)()) == []


def test_percentiles_end_where_samples_do():
    """A percentile beyond which less than one request lies isn't drawn."""
    drawn = charts(samples.passed())["distribution"]
    count = samples.passed().measurement.select_requests().duration.count
    assert drawn["duration"] == sorted(drawn["duration"])
    assert (1 - drawn["quantiles"][-1]) * count >= 1
    assert "service" not in drawn


def test_the_uncorrected_times_are_drawn_where_they_differ():
    """In the open model the time without the wait is drawn beside the latency."""
    measurement = Measurement(elapsed=1.0)
    stats = samples.measured(seconds=3, rate=5, warmup=0).select_requests()
    stats.service.merge(stats.duration)
    measurement.requests[(("name", "a"),)] = stats
    assert "service" in charts(samples.result(measurement))["distribution"]


def test_only_limits_on_drawn_percentiles_become_lines():
    """A limit on another metric, another tag, an average or a least time isn't drawn."""
    texts = {
        "http_req_duration": ["p(95)<500", "avg<100", "p(95)>1"],
        "http_req_duration{name:login}": ["p(99)<=800"],
        "http_req_duration{scenario:user-journey}": ["p(95)<300"],
        "http_req_waiting": ["p(95)<200"],
        "http_reqs": ["rate>1"],
    }
    drawn = charts(samples.result(samples.passed().measurement, limits=texts, budgets=[]))["limits"]
    assert drawn == {
        "*": [{"of": "p95", "ms": 500.0, "broken": False}],
        "login": [{"of": "p99", "ms": 800.0, "broken": False}],
    }


def test_the_same_limit_from_two_sources_is_one_line():
    """A threshold and a budget of the same figure aren't drawn over each other."""
    texts = {"http_req_duration": ["p(95)<500"]}
    twice = {**samples.BUDGET, "spec": {"responseTime": {"*": {"p95": "500ms"}}}}
    drawn = charts(samples.result(samples.passed().measurement, limits=texts, budgets=[twice]))["limits"]
    assert drawn == {"*": [{"of": "p95", "ms": 500.0, "broken": False}]}


def test_a_run_without_checks_has_no_table_of_them():
    """Requests alone make no empty table of checks or of failures."""
    bare = samples.changed(samples.passed().measurement, checks={})
    text = render_html(samples.result(bare))
    assert "<summary>Checks" not in text
    assert "<summary>Failed requests" not in text


def test_markup_escapes_all_but_markup():
    """Text is escaped, markup isn't, and nothing is left out but None."""
    made = tag("p", 'a<b & "c"', tag("b", "x"), None, raw("<i>y</i>"), title='"<', class_="n", hidden=True, id=None)
    assert made == '<p title="&quot;&lt;" class="n" hidden>a&lt;b &amp; "c"<b>x</b><i>y</i></p>'
    assert isinstance(made, Markup)
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert tag("rect", x=1.5, rx=2, aria_hidden=False) == '<rect x="1.5" rx="2"/>'
    assert join("<", tag("br")) == "&lt;<br>"


def test_traces_have_a_section_where_there_are_any():
    """Each kept id is in the page, slow ones apart from failed ones; a run without tracing has no such section."""
    text = render_html(samples.traced())
    kept = samples.traced().measurement.traces
    ids = {trace.id for stats in kept.values() for trace in stats.slowest}
    ids |= {trace.id for stats in kept.values() for several in stats.failed.values() for trace in several}
    assert all(found in text for found in ids)
    assert Page(text).all("section", id="traces")
    assert not Page(render_html(samples.failed())).all("section", id="traces")
