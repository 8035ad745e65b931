"""The verdict: limits and doubts in, one outcome and one sentence out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdict_samples import budget, limit, measured, requests, thresholds

from loadgate.api.conditions import DoubtReason, Outcome
from loadgate.verdict import Doubt, Verdict, decide, judge, judge_again, live_abort

LAG = Doubt(DoubtReason.LoopLag, "runner 0 lagged", "80ms")
DROPPED = Doubt(DoubtReason.DroppedIterations, "9 were dropped", "1%", True)
UNKNOWN_FLATTERY = Doubt(DoubtReason.NoSamples, "nothing was measured", "1", True)
HELD, BROKEN, UNKNOWN = limit(), limit(passed=False, subject="p99"), limit(passed=None, subject="max")
WARNED = limit(passed=False, enforced=False)
LITTLE = limit(passed=False, volume=True, subject="throughput")


@pytest.mark.parametrize(
    ("limits", "doubts", "outcome"),
    [
        ([], [], Outcome.Passed),
        ([HELD], [], Outcome.Passed),
        ([HELD, BROKEN], [], Outcome.Failed),
        ([HELD, UNKNOWN], [], Outcome.Inconclusive),
        ([BROKEN, UNKNOWN], [], Outcome.Failed),
        ([HELD], [DROPPED], Outcome.Inconclusive),
        ([BROKEN], [DROPPED], Outcome.Failed),
        ([HELD], [LAG], Outcome.Inconclusive),
        ([BROKEN], [LAG], Outcome.Inconclusive),
        ([BROKEN], [LAG, DROPPED], Outcome.Inconclusive),
        ([], [DROPPED], Outcome.Inconclusive),
        ([WARNED], [], Outcome.Passed),
        ([WARNED], [DROPPED], Outcome.Inconclusive),
        ([limit(passed=None, enforced=False)], [], Outcome.Passed),
        ([LITTLE], [], Outcome.Failed),
        ([LITTLE], [DROPPED], Outcome.Inconclusive),
        ([LITTLE, BROKEN], [DROPPED], Outcome.Failed),
        ([LITTLE], [UNKNOWN_FLATTERY], Outcome.Failed),
        ([limit(passed=False, volume=True, ended_run=True)], [DROPPED], Outcome.Failed),
        ([limit(passed=False, volume=True, ended_run=True, enforced=False)], [], Outcome.Passed),
    ],
)
def test_the_table_of_verdicts(limits, doubts, outcome):
    """Broken limits fail unless the figures can't be trusted; nothing passes that is in doubt."""
    assert decide(limits, doubts).outcome is outcome


def test_less_load_is_what_explains_a_small_amount_of_work():
    """Every doubt that means less load keeps a broken volume from counting; any other flattering one doesn't."""
    less = {
        "DroppedIterations",
        "RateNotReached",
        "LateStart",
        "DeadlineExceeded",
        "DataExhausted",
        "ScriptFailed",
        "Interrupted",
    }
    for reason in DoubtReason:
        found = decide([LITTLE], [Doubt(reason, "why", "1", flattering=True)]).outcome
        assert found is (Outcome.Inconclusive if reason.value in less else Outcome.Failed)


@pytest.mark.parametrize("outcome_of", [[HELD], [BROKEN], [UNKNOWN], []])
def test_a_run_that_was_called_off_is_aborted_whatever_it_measured(outcome_of):
    """Calling a run off overrules limits and doubts, and its reason is the message."""
    found = decide(outcome_of, [LAG], aborted="the spec changed")
    assert (found.outcome, found.message) == (Outcome.Aborted, "the spec changed")
    assert found.limits == tuple(outcome_of)


def test_tolerated_doubts_are_reported_and_do_not_count():
    """A tolerated doubt is kept apart, and the verdict is as if it weren't there."""
    found = decide([HELD], [LAG, DROPPED], tolerated=[DoubtReason.LoopLag, DoubtReason.DroppedIterations])
    assert found.outcome is Outcome.Passed
    assert (found.doubts, found.tolerated) == ((), (LAG, DROPPED))


def test_tolerating_one_doubt_leaves_the_others():
    """Only the reasons that are listed are borne."""
    found = decide([BROKEN], [LAG, DROPPED], tolerated=[DoubtReason.LoopLag])
    assert found.outcome is Outcome.Failed
    assert (found.doubts, found.tolerated) == ((DROPPED,), (LAG,))


def test_limits_without_samples_are_one_doubt_that_names_them():
    """However many limits had nothing to judge, one doubt says which."""
    found = decide([HELD, UNKNOWN, limit(passed=None, enforced=False)], [])
    (doubt,) = found.doubts
    assert (doubt.reason, doubt.figure, doubt.flattering) == (DoubtReason.NoSamples, "1 without a sample", True)
    assert "max (threshold)" in doubt.message
    many = decide([limit(passed=None, subject=f"s{n}") for n in range(8)], []).doubts[0]
    assert "s4 (threshold) and 3 more;" in many.message
    assert "s5" not in many.message
    six = decide([limit(passed=None, subject=f"s{n}") for n in range(6)], []).doubts[0]
    assert "s4 (threshold) and 1 more;" in six.message
    five = decide([limit(passed=None, subject=f"s{n}") for n in range(5)], []).doubts[0]
    assert "s4 (threshold);" in five.message
    two = decide([limit(passed=None, subject=f"s{n}") for n in range(2)], []).doubts[0]
    assert two.message == (
        "nothing was measured for s0 (threshold), s1 (threshold); look for a misspelt name or tag, let the load run until "
        "it gets there, or take the limit away"
    )


def test_tolerating_missing_samples_lets_the_rest_pass():
    """A test may say that an endpoint need not be reached."""
    found = decide([HELD, UNKNOWN], [], tolerated=[DoubtReason.NoSamples])
    assert (found.outcome, found.message) == (
        Outcome.Passed,
        "1 of 2 limits held; 1 had no sample, which is tolerated",
    )


@pytest.mark.parametrize(
    ("limits", "doubts", "message"),
    [
        ([], [], "nothing was asked for, and it ran"),
        ([HELD], [], "all 1 limit held"),
        ([HELD, HELD], [], "all 2 limits held"),
        ([HELD, WARNED], [], "all 1 limit held; 1 limit broken of budgets that only warn"),
        ([WARNED], [], "all 0 limits held; 1 limit broken of budgets that only warn"),
        ([BROKEN], [], "1 of 1 limit is broken, the worst: p99 is 600ms, the limit is 500ms (threshold)"),
        ([HELD], [LAG], "runner 0 lagged"),
        ([HELD], [DROPPED, LAG], "runner 0 lagged; and 1 more doubt"),
        ([HELD], [DROPPED, UNKNOWN_FLATTERY, DROPPED], "9 were dropped; and 2 more doubts"),
    ],
)
def test_the_sentence_says_what_decided(limits, doubts, message):
    """The message is about what made the verdict what it is."""
    assert decide(limits, doubts).message == message


def test_a_sentence_stays_one():
    """However long a doubt's message is, the verdict's fits into a condition."""
    found = decide([HELD], [Doubt(DoubtReason.SetupFailed, "x" * 5000, "setup")])
    assert len(found.message) == 1024
    assert found.message.endswith("…")
    assert len(decide([], [], aborted="x" * 5000).message) == 1024


def test_the_worst_limit_is_named():
    """Of several broken limits the sentence names the one that is broken by most, or can't be put as a share."""
    measurement = measured(1.0, a=[400] * 10)
    found = judge(measurement, thresholds=thresholds(http_req_duration=["p(95)<300", "avg<100", "max<350", "min<500"]))
    assert (
        found.message
        == "3 of 4 limits are broken, the worst: http_req_duration avg is 400ms, the limit is 100ms (threshold)"
    )
    none = judge(measurement, thresholds=thresholds(http_req_duration=["avg<100", "max<0"]))
    assert "max is 400ms, the limit is 0" in none.message


def test_a_lower_bound_is_said_as_one():
    """A throughput that is too small is held against the least."""
    found = judge(measured(10.0, a=[1]), thresholds=thresholds(http_reqs="rate>=5"))
    assert found.violations[0].sentence() == "http_reqs rate is 0.1/s, the least is 5/s (threshold)"
    none = judge(measured(10.0), thresholds=thresholds(http_reqs="rate>5"))
    assert none.limits[0].sentence() == "http_reqs rate has no sample, the least is 5/s (threshold)"


def test_thresholds_and_budgets_are_judged_together():
    """A verdict is over a test's own limits and those of all its budgets, in that order."""
    measurement = measured(10.0, a=[400] * 10)
    budgets = [budget("one", responseTime={"a": {"p95": "300ms"}}), budget("two", errorRate={"*": {"max": "1%"}})]
    found = judge(measurement, thresholds=thresholds(http_req_duration="p(95)<500"), budgets=budgets)
    assert [(one.source, one.passed) for one in found.limits] == [
        ("threshold", True),
        ("budget/one", False),
        ("budget/two", True),
    ]
    assert [one.source for one in found.violations] == ["budget/one"]
    assert found.outcome is Outcome.Failed


def test_a_budget_that_warns_is_heard_and_changes_nothing():
    """Its broken limits are warnings, not violations."""
    found = judge(
        measured(10.0, a=[400]),
        thresholds={},
        budgets=[budget("soft", responseTime={"a": {"p95": "300ms"}}, enforcement="Warn")],
    )
    assert found.outcome is Outcome.Passed
    assert found.violations == ()
    assert [one.subject for one in found.warnings] == ["a p95"]


def test_violations_and_warnings_are_told_apart():
    """A violation is broken and counts, a warning is broken and doesn't; what holds or has no sample is neither."""
    kept, unknown = limit(enforced=False), limit(passed=None, enforced=False)
    found = decide([HELD, BROKEN, UNKNOWN, WARNED, kept, unknown], [])
    assert (found.violations, found.warnings) == ((BROKEN,), (WARNED,))


ABORT = {"threshold": "rate<0.1", "abortOnFail": True, "delayAbortEval": "10s"}


def failing():
    """Half of the requests fail."""
    return requests(measured(20.0, a=[10] * 5), "a", [10] * 5, failed=True)


@pytest.mark.parametrize(
    ("elapsed", "ends"), [(0.0, []), (9.9, []), (10.0, ["http_req_failed rate"]), (60.0, ["http_req_failed rate"])]
)
def test_a_threshold_ends_a_run_after_its_delay(elapsed, ends):
    """With abortOnFail a broken threshold ends the run, but not before delayAbortEval is over."""
    found = live_abort(failing(), thresholds(http_req_failed=ABORT), elapsed)
    assert [one.subject for one in found] == ends
    assert all(one.ended_run and one.broken for one in found)


def test_only_broken_thresholds_that_ask_for_it_end_a_run():
    """A broken threshold without abortOnFail, one that holds and one without a sample let the run go on."""
    limits = thresholds(
        http_req_failed=["rate<0.1", {"threshold": "rate<0.9", "abortOnFail": True}],
        http_req_connecting={"threshold": "p(95)<1", "abortOnFail": True},
    )
    assert live_abort(failing(), limits, 60.0) == []


def test_a_threshold_without_a_delay_is_looked_at_at_once():
    """The delay is none unless it is given."""
    limits = thresholds(http_req_failed={"threshold": "rate<0.1", "abortOnFail": True})
    assert len(live_abort(failing(), limits, 0.0)) == 1


def test_what_ended_a_run_is_not_mended_by_what_came_after():
    """A limit that ended the run stays broken, also if the last requests would have kept it."""
    limits = thresholds(http_req_failed=ABORT)
    crossed = live_abort(failing(), limits, 20.0)
    later = requests(failing(), "a", [10] * 1000)
    assert judge(later, thresholds=limits).outcome is Outcome.Passed
    found = judge(later, thresholds=limits, crossed=crossed)
    assert found.outcome is Outcome.Failed
    assert found.limits[0].actual == "50%"
    (doubt,) = found.doubts
    assert (doubt.reason, doubt.flattering, doubt.figure) == (DoubtReason.Interrupted, True, "http_req_failed rate")
    assert "http_req_failed rate is 50%, the limit is 10%" in doubt.message


def test_a_run_that_a_limit_ended_is_not_whole_without_that_limit():
    """Taking the limit away later doesn't make the part that was measured pass for the whole."""
    limits = thresholds(http_req_failed=ABORT)
    first = judge(failing(), thresholds=limits, crossed=live_abort(failing(), limits, 20.0))
    again = judge_again(first, failing(), thresholds=limits)
    assert again == first
    without = judge_again(first, failing(), thresholds={})
    assert without.outcome is Outcome.Inconclusive
    assert [doubt.reason for doubt in without.doubts] == [DoubtReason.Interrupted]


def test_judging_again_keeps_doubts_and_asks_anew_for_samples():
    """Other limits over the same result: what was doubted stays, also what was tolerated; missing samples are looked up."""
    measurement = measured(10.0, a=[400] * 10)
    missing = {"http_req_duration{name:b}": thresholds(x="p(95)<500")["x"]}
    first = judge(measurement, thresholds=missing, doubts=[LAG, DROPPED], tolerated=[DoubtReason.DroppedIterations])
    assert first.outcome is Outcome.Inconclusive
    again = judge_again(first, measurement, thresholds=thresholds(http_req_duration="p(95)<300"))
    assert again.doubts == (LAG, DROPPED)
    borne = judge_again(
        first,
        measurement,
        thresholds=thresholds(http_req_duration="p(95)<300"),
        budgets=[budget("b", throughput={"*": {"min": 1}})],
        tolerated=[DoubtReason.LoopLag, DoubtReason.DroppedIterations],
    )
    assert borne.outcome is Outcome.Failed
    assert [one.passed for one in borne.limits] == [False, True]


def test_what_was_aborted_stays_aborted():
    """Judging again makes no verdict of a run that was called off."""
    measurement = measured(10.0, a=[400])
    first = judge(measurement, thresholds={}, aborted="the test was suspended")
    again = judge_again(first, measurement, thresholds=thresholds(http_req_duration="p(95)<300"))
    assert (again.outcome, again.message) == (Outcome.Aborted, "the test was suspended")


def test_a_verdict_survives_its_document():
    """What is stored of a verdict is read back equal."""
    found = decide([HELD, BROKEN, UNKNOWN, WARNED], [LAG, DROPPED], tolerated=[DoubtReason.LoopLag])
    assert Verdict.from_json(found.to_json()) == found


LIMITS = st.builds(
    limit,
    passed=st.sampled_from([True, False, None]),
    enforced=st.booleans(),
    volume=st.booleans(),
    ended_run=st.booleans(),
)
DOUBTS = st.builds(Doubt, st.sampled_from(DoubtReason), st.just("why"), st.just("1"), st.booleans())
TOLERATED = st.sets(st.sampled_from(DoubtReason))


@given(st.lists(LIMITS), st.lists(DOUBTS), TOLERATED, st.randoms())
def test_the_order_of_limits_and_doubts_does_not_matter(limits, doubts, tolerated, dice):
    """A verdict is over sets: shuffling what it is over changes nothing."""
    before = decide(limits, doubts, tolerated=tolerated).outcome
    dice.shuffle(limits)
    dice.shuffle(doubts)
    assert decide(limits, doubts, tolerated=tolerated).outcome is before


@given(st.lists(LIMITS), st.lists(DOUBTS), TOLERATED, DOUBTS)
def test_a_doubt_never_makes_a_verdict_better(limits, doubts, tolerated, more):
    """With one more doubt nothing passes, or fails for certain, that didn't before."""
    before = decide(limits, doubts, tolerated=tolerated).outcome
    after = decide(limits, [*doubts, more], tolerated=tolerated).outcome
    assert after in {before, Outcome.Inconclusive}
    if more.reason in tolerated:
        assert after is before
    else:
        assert after is not Outcome.Passed


@given(st.lists(LIMITS), st.lists(DOUBTS), TOLERATED, LIMITS)
def test_a_budget_that_warns_never_changes_a_verdict(limits, doubts, tolerated, more):
    """Limits that only warn may be broken, kept or without a sample: the outcome is the same."""
    soft = limit(passed=more.passed, enforced=False, volume=more.volume, ended_run=more.ended_run)
    before = decide(limits, doubts, tolerated=tolerated)
    after = decide([*limits, soft], doubts, tolerated=tolerated)
    assert after.outcome is before.outcome
    assert after.violations == before.violations


@given(st.lists(LIMITS), st.lists(DOUBTS), TOLERATED)
def test_nothing_passes_that_was_not_measured_whole_and_kept(limits, doubts, tolerated):
    """A pass means: every limit that counts held or may be without a sample, and no doubt counts."""
    found = decide(limits, doubts, tolerated=tolerated)
    enforced = [one for one in limits if one.enforced]
    if found.outcome is Outcome.Passed:
        assert all(one.passed or (one.passed is None and DoubtReason.NoSamples in tolerated) for one in enforced)
        assert found.doubts == ()
    if found.outcome is Outcome.Failed:
        assert found.violations


@given(st.integers(1, 900), st.integers(1, 1000), st.integers(0, 500), st.lists(DOUBTS, max_size=3))
def test_a_laxer_limit_never_makes_a_verdict_worse(actual, limit_ms, more, doubts):
    """Raising a limit turns no pass into a failure, whatever is doubted."""
    measurement = measured(1.0, a=[actual])
    strict = judge(measurement, thresholds=thresholds(http_req_duration=f"max<{limit_ms}"), doubts=doubts).outcome
    lax = judge(measurement, thresholds=thresholds(http_req_duration=f"max<{limit_ms + more}"), doubts=doubts).outcome
    assert not (strict is Outcome.Passed and lax is not Outcome.Passed)
    assert not (strict is Outcome.Inconclusive and lax is Outcome.Failed)
