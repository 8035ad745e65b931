import json

import pytest
from benchmarks import outputs

WRK = """Running 3s test @ http://127.0.0.1:33421/item
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   715.25us    1.30ms  23.38ms   93.97%
    Req/Sec   106.69k    17.96k  123.67k    76.67%
  Latency Distribution
     50%  415.00us
     75%  578.00us
     90%    1.16ms
     99%    6.51ms
  318280 requests in 3.05s, 160.57MB read
Requests/sec: 104443.85
Transfer/sec:     52.69MB
"""
H2LOAD = """finished in 6.00s, 121982.00 req/s, 58.75MB/s
requests: 731892 total, 731956 started, 731892 done, 731892 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 731892 2xx, 0 3xx, 0 4xx, 0 5xx
"""
HEY = """
Latency distribution:
  10%% in 0.0006 secs
  50%% in 0.0020 secs
  99%% in 0.0117 secs

Status code distribution:
  [200]\t58078 responses
"""
GATLING = """
---- Requests -----------------------------------------------------------------------|---Total---|-----OK----|----KO----
> Global                                                                             |    21,327 |    21,327 |         0
> item                                                                               |    21,327 |    21,327 |         0
---- Requests -----------------------------------------------------------------------|---Total---|-----OK----|----KO----
> Global                                                                             |    61,549 |    61,549 |         0
> item                                                                               |    61,549 |    61,549 |         0
"""


def test_wrk_is_read_in_whatever_unit_it_chose():
    """Wrk writes each time in the unit that suits it, and all of them come out in ms."""
    said = outputs.wrk(WRK)
    assert (said.requests, said.p50, said.p99) == pytest.approx((318280, 0.415, 6.51))


def test_wrk_with_failed_requests_is_no_result():
    """Requests that failed cost less than good ones, so a run with any of them isn't compared."""
    with pytest.raises(outputs.OutputError, match="failures"):
        outputs.wrk(WRK + "  Non-2xx or 3xx responses: 12\n")


def test_h2load_counts_what_succeeded():
    """h2load has a count and no percentiles, and says so by having none."""
    assert outputs.h2load(H2LOAD) == outputs.Said(731892)
    with pytest.raises(outputs.OutputError, match="failures"):
        outputs.h2load(H2LOAD.replace("0 failed", "3 failed"))


def test_hey_counts_answers_of_200():
    """Hey's seconds come out in ms."""
    said = outputs.hey(HEY)
    assert said.requests == 58078
    assert (said.p50, said.p99) == pytest.approx((2.0, 11.7))


def test_gatling_is_read_at_its_last_report():
    """Gatling reports every few seconds, each time on all so far; the last one counts."""
    assert outputs.gatling(GATLING) == outputs.Said(61549)
    with pytest.raises(outputs.OutputError, match="failures"):
        outputs.gatling(GATLING.replace("|    61,549 |         0", "|    61,540 |         9"))


def test_oha_and_vegeta_are_read_from_their_json():
    """Oha's seconds and vegeta's nanoseconds come out in ms."""
    oha = {"statusCodeDistribution": {"200": 7}, "latencyPercentiles": {"p50": 0.001, "p99": 0.25}}
    assert outputs.oha(json.dumps(oha)) == outputs.Said(7, 1.0, 250.0)
    vegeta = {"status_codes": {"200": 9}, "latencies": {"50th": 1_500_000, "99th": 9_000_000}}
    assert outputs.vegeta(json.dumps(vegeta)) == outputs.Said(9, 1.5, 9.0)


def test_scripts_say_their_figures_in_one_line_among_others():
    """k6 and Locust print other lines around ours; without it there is no result."""
    assert outputs.own_json('hello\n{"requests": 3, "p50": 1, "p99": 2}\nbye') == outputs.Said(3, 1, 2)
    with pytest.raises(outputs.OutputError, match="no figures"):
        outputs.own_json("hello")
