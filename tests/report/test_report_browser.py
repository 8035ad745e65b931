"""The HTML report in a real browser, opened from disk: its script works, complains of nothing and asks nobody."""

import json

import pytest
import report_samples as samples
from report_browser import browser, program

from loadgate.report.html import render_html

_left_out = "NO BROWSER: install chromium (Debian's package of that name) to test the HTML report's script"
pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.skipif(program() is None, reason=_left_out),
]

RESULTS = {
    "passed": samples.passed,
    "failed": samples.failed,
    "inconclusive": samples.inconclusive,
    "empty": samples.empty,
    "aborted": samples.aborted,
}
PLOTS = ("latency", "requests", "failures", "vus", "percentiles", "histogram")
INK = """(() => {
  const counts = {};
  for (const canvas of document.querySelectorAll("canvas")) {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let inked = 0;
    for (let at = 3; at < data.length; at += 4) inked += data[at] > 0;
    counts[canvas.closest(".plot").id] = inked;
  }
  return counts;
})()"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """One browser for all."""
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    """Each sample as a file."""
    folder = tmp_path_factory.mktemp("reports")
    for name, make in RESULTS.items():
        (folder / f"{name}.html").write_text(render_html(make()), encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in RESULTS}


@pytest.fixture
def show(chromium, urls):
    """Opens a report; at the end of the test no page has complained, and none has asked for anything but itself."""
    pages = []

    def open_page(name="failed", **how):
        pages.append(page := chromium.open(urls[name], **how))
        page.settled()
        return page

    yield open_page
    for page in pages:
        page.run("1")
        assert page.told("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
        asked = [one["request"]["url"] for one in page.told("Network.requestWillBeSent")]
        assert [url for url in asked if not url.startswith("file:")] == []
        assert len(asked) == 1, asked
        page.close()


def text(page, selector):
    return page.run(f"document.querySelector({json.dumps(selector)}).textContent")


def click(page, selector):
    page.run(f"document.querySelector({json.dumps(selector)}).click()")
    page.settled()


def span(page, name="latency"):
    """What time a plot shows, as its axis is labelled: read from the legend's cursor at both ends."""
    return page.run(
        f"""(async () => {{
          const over = document.querySelector("#plot-{name} .u-over");
          const box = over.getBoundingClientRect();
          const shown = [];
          for (const x of [1, box.width - 2]) {{
            const at = {{ clientX: box.left + x, clientY: box.top + 10, bubbles: true }};
            over.dispatchEvent(new MouseEvent("mouseenter", at));
            over.dispatchEvent(new MouseEvent("mousemove", at));
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            shown.push(document.querySelector("#plot-{name} .u-value").textContent);
          }}
          return shown;
        }})()"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", RESULTS)
def test_a_report_opens_without_a_complaint(show, name, scheme):
    """Whatever the verdict: no error, no warning, no request, and every plot has ink on it."""
    page = show(name, scheme=scheme)
    assert page.run("document.documentElement.classList.contains('js')")
    ink = page.run(INK)
    places = page.run("[...document.querySelectorAll('.plot')].map((one) => one.id)")
    assert set(ink) == set(places)
    assert all(count > 500 for count in ink.values()), ink
    assert bool(ink) == (name != "empty")


def test_the_theme_follows_the_system_until_the_reader_chooses(show):
    """The button turns it, says which it is, and the page remembers it; before that the system decides."""
    page = show(scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.run(ground)
    pressed = "document.getElementById('theme').getAttribute('aria-pressed')"
    assert page.run(pressed) == "true"
    click(page, "#theme")
    light = page.run(ground)
    assert light != dark
    assert page.run(pressed) == "false"
    page.prefer("light")
    page.prefer("dark")
    page.settled()
    assert page.run(ground) == light
    assert page.run("localStorage.getItem('loadgate-theme')") == "light"
    page.run("localStorage.clear()")


def test_plots_are_drawn_anew_in_the_other_theme(show):
    """A canvas knows no style sheet: lines take the new theme's colours when it is switched."""
    page = show(scheme="light")
    picture = "document.querySelector('#plot-vus canvas').toDataURL()"
    before = page.run(picture)
    click(page, "#theme")
    assert page.run(picture) != before
    click(page, "#theme")
    assert page.run(picture) == before
    page.run("localStorage.clear()")


def test_dragging_zooms_all_plots_over_time_and_a_button_resets_them(show):
    """A drag over one plot narrows the time of all four; Reset shows the whole run again."""
    page = show()
    whole = span(page)
    left, top, width = page.run(
        """(() => {
          document.getElementById("plot-latency").scrollIntoView({ behavior: "instant", block: "center" });
          const box = document.querySelector("#plot-latency .u-over").getBoundingClientRect();
          return [box.left, box.top, box.width];
        })()"""
    )
    page.drag((left + width / 3, top + 50), (left + 2 * width / 3, top + 50))
    zoomed = {name: span(page, name) for name in ("latency", "requests", "failures", "vus")}
    assert zoomed["latency"][0] > whole[0]
    assert zoomed["latency"][1] < whole[1]
    assert all(one == zoomed["latency"] for one in zoomed.values()), zoomed
    click(page, "#reset-zoom")
    assert span(page) == whole


def test_the_keyboard_does_what_the_mouse_does(show):
    """On a plot that has the focus + and - zoom, arrows move the cursor and its legend, Esc shows all of it."""
    page = show()
    whole = span(page)
    page.run("document.getElementById('plot-latency').focus()")
    page.press("+")
    assert span(page) != whole
    page.press("-")
    assert span(page) == whole
    page.press("+")
    page.press("Escape")
    assert span(page) == whole
    value = "document.querySelector('#plot-latency .u-value').textContent"
    page.press("ArrowLeft")
    before = page.run(value)
    page.press("ArrowLeft")
    assert page.run(value) != before


def test_latency_of_one_endpoint_can_be_looked_at(show):
    """The choice of an endpoint draws that endpoint's latency, and * all of them again."""
    page = show()
    picture = "document.querySelector('#plot-latency canvas').toDataURL()"
    choose = "((name) => {{ const it = document.getElementById('endpoint'); it.value = name; it.dispatchEvent(new Event('change')); }})({!r})"
    everything = page.run(picture)
    page.run(choose.format("checkout"))
    page.settled()
    assert page.run(picture) != everything
    page.run(choose.format("*"))
    page.settled()
    assert page.run(picture) == everything


def test_a_log_scale_can_be_switched_on_and_off(show):
    """The button says whether it is on, and the axis is marked in powers of ten."""
    page = show()
    picture = "document.querySelector('#plot-latency canvas').toDataURL()"
    before = page.run(picture)
    click(page, "#log-scale")
    assert page.run("document.getElementById('log-scale').getAttribute('aria-pressed')") == "true"
    assert page.run(picture) != before
    click(page, "#log-scale")
    assert page.run(picture) == before


def test_tables_are_sorted_by_a_click_on_a_heading(show):
    """Names from A, figures from the largest, the other way round by another click; the total stays at the foot."""
    page = show()
    column = (
        "[...document.querySelectorAll('#endpoints table.sortable tbody tr')].map((row) => row.cells[{}].textContent)"
    )
    heading = "#endpoints table.sortable thead th:nth-child({}) button"
    click(page, heading.format(1))
    names = page.run(column.format(0))
    assert names == sorted(names, key=str.lower)
    click(page, heading.format(1))
    assert page.run(column.format(0)) == names[::-1]
    click(page, heading.format(2))
    counts = [int(one.replace("\u202f", "")) for one in page.run(column.format(1))]
    assert counts == sorted(counts, reverse=True)
    assert (
        page.run("document.querySelector('#endpoints thead th:nth-child(2)').getAttribute('aria-sort')") == "descending"
    )
    assert text(page, "#endpoints tfoot th") == "all requests"


@pytest.mark.parametrize("width", [320, 760])
@pytest.mark.parametrize("name", RESULTS)
def test_a_narrow_window_scrolls_no_page_sideways(show, name, width):
    """Tables scroll by themselves; the page is as wide as the window, and plots are as wide as their places."""
    page = show(name, width=width, height=800)
    assert page.run("document.documentElement.scrollWidth") <= width
    for place, plot in page.run(
        "[...document.querySelectorAll('.plot')].map((one) => [one.clientWidth, one.querySelector('.uplot').clientWidth])"
    ):
        assert abs(place - plot) <= 1


def test_plots_follow_the_window(show):
    """A window that is made smaller makes its plots smaller."""
    page = show()
    page.resize(500, 800)
    page.settled()
    page.settled()
    assert page.run("document.querySelector('#plot-latency .uplot').clientWidth") < 500
    assert page.run("document.documentElement.scrollWidth") <= 500


def test_it_reads_in_a_browser_without_scripts(show):
    """With scripts off the verdict and every table are there, and no tool that would do nothing is shown."""
    page = show("failed", scripts=False)
    assert text(page, "h1") == "Failed"
    shown = "[...document.querySelectorAll({!r})].filter((one) => one.getBoundingClientRect().height > 0).length"
    assert page.run(shown.format(".js-only")) == 0
    assert page.run(shown.format("#limits tbody tr")) == len(samples.failed().verdict.limits)


def test_on_paper_all_is_white_and_unfolded(show):
    """Before printing the theme is the light one and the manifests are open; afterwards the reader's theme is back."""
    page = show(scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.run(ground)
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run(ground) != dark
    assert page.run("[...document.querySelectorAll('details.document')].every((one) => one.open)")
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run(ground) == dark
