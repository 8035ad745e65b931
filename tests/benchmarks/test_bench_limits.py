import pytest
from benchmarks import limits, table
from benchmarks.honesty import stall
from benchmarks.others import agree
from benchmarks.watch import CountError, Sample


def test_a_limit_on_cost_is_a_ratio_of_medians():
    """A row over its limit says so, one under it holds, and one whose peer is missing is open."""
    costs = {"plain, wrk": 4.0, "plain, loadgate": 5.0, "plain, loadgate interpreted": 6.0}
    found = {limit.what: limit for limit in limits.cost_limits(costs)}
    assert found["plain, loadgate: CPU a request, of wrk's"].holds is True
    assert found["plain, loadgate interpreted: CPU a request, of wrk's"].holds is False
    assert found["journey, loadgate: CPU a request, of k6's (a sixth)"].holds is None


def test_dropped_arrivals_break_the_limit_on_arrivals():
    """Arrivals are exact only if each was begun."""
    fact = {"asked": 100, "begun": 100, "dropped": 0, "slip_p99_ms": 0.4}
    assert [limit.holds for limit in limits.open_limits([fact])] == [True, True]
    assert [limit.holds for limit in limits.open_limits([{**fact, "begun": 99, "dropped": 1}])] == [True, False]


def test_a_peer_that_is_missing_keeps_its_row_with_the_reason():
    """The table never drops a peer silently."""
    text = table.cost_table({"plain, oha": [], "plain, wrk": [Sample(1000, 1.0, 0.004)]}, {"plain, oha": "no cargo"})
    assert "| plain | oha | missing | | | | | no cargo |" in text
    assert "| plain | wrk | 4.0 |" in text


def test_a_table_stands_between_its_markers(tmp_path):
    """Text outside of the markers is left alone, and a document without them is an error."""
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- bench -->\nold\n<!-- end bench -->\nafter\n")
    table.write("bench", "new", document)
    assert document.read_text() == "before\n<!-- bench -->\nnew\n<!-- end bench -->\nafter\n"
    with pytest.raises(ValueError, match="markers"):
        table.write("other", "new", document)


def test_a_client_that_counts_otherwise_than_nginx_is_no_result():
    """Only what is in flight at the end may be missing; more answers than requests can't be."""
    agree(1000, 936, 64)
    for counted in (935, 1001):
        with pytest.raises(CountError):
            agree(1000, counted, 64)


def test_the_truth_of_a_freeze_by_arithmetic():
    """Of 7,500 requests 1,000 wait from 2 s down to nothing, so p99 is near 1,850 ms and the median 1 ms."""
    p50, p95, p99, p999 = stall.truth(2.0)
    assert p50 == 1.0
    assert (p95, p99, p999) == pytest.approx((1251, 1851, 1986), abs=3)
