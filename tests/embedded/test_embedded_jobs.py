"""The Job controller, as a function of a Job, its pods and the time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgate_operator.cluster.local.jobs import intervals, is_over, next_step, pod_of
from loadgate_operator.cluster.local.store import timestamp
from loadgate_operator.manifests.names import INDEX_LABEL

NOW = 1_800_000_000.0


def job(status=None, **spec):
    base = {"completions": 3, "parallelism": 3, "backoffLimitPerIndex": 1, "template": {"spec": {}}}
    metadata = {"name": "j", "namespace": "default", "uid": "u"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {**base, **spec},
        "status": status or {},
    }


def pod(index, phase="Running", code=1, ago=100.0, **metadata):
    ended = {"exitCode": code, "finishedAt": timestamp(NOW - ago)}
    return {
        "metadata": {"name": f"j-{index}-{phase}-{ago}", "annotations": {INDEX_LABEL: str(index)}, **metadata},
        "status": {"phase": phase, "containerStatuses": [{"state": {"terminated": ended}}]},
    }


@pytest.mark.parametrize(
    ("spec", "pods", "created"),
    [
        ({}, [], [0, 1, 2]),
        ({"parallelism": 2}, [], [0, 1]),
        ({}, [pod(1)], [0, 2]),
        ({}, [pod(1, "Succeeded")], [0, 2]),
        ({}, [pod(1, "Pending")], [0, 2]),
        ({}, [pod(1, "Failed")], [0, 1, 2]),
        ({}, [pod(1, "Failed", ago=0)], [0, 2]),
        ({}, [pod(1, deletionTimestamp="now")], [0, 2]),
        ({"completions": 1}, [pod(0, "Failed"), pod(0, "Failed", ago=50)], []),
        ({"suspend": True}, [], []),
    ],
)
def test_pods_are_made_by_index(spec, pods, created):
    """Each index has one pod at a time; a failed one is followed, after a pause, until its retries are used up."""
    assert next_step(job(**spec), pods, NOW).create == created


def test_a_failed_index_is_looked_at_again_when_its_pause_is_over():
    """The step says when a retry is due, so that nothing polls."""
    step = next_step(job(backoffLimitPerIndex=5), [pod(0), pod(1), pod(2, "Failed", ago=0)], NOW)
    assert step.create == []
    assert step.again == pytest.approx(1.0)


def test_an_exit_code_may_fail_an_index_at_once():
    """PodFailurePolicy's FailIndex leaves no retry to an exit that none would help."""
    rule = {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [2]}}
    spec = {"completions": 1, "backoffLimitPerIndex": 5, "podFailurePolicy": {"rules": [rule]}}
    step = next_step(job(**spec), [pod(0, "Failed", code=2)], NOW)
    assert step.create == []
    assert step.status["failedIndexes"] == "0"
    assert [c["type"] for c in step.status["conditions"]] == ["Failed"]


def test_a_job_is_complete_when_every_index_is():
    """All indexes succeeded: Complete, with the time."""
    step = next_step(job(), [pod(i, "Succeeded") for i in range(3)], NOW)
    assert [c["type"] for c in step.status["conditions"]] == ["Complete"]
    assert step.status["completedIndexes"] == "0-2"
    assert step.status["completionTime"] == timestamp(NOW)


def test_a_failed_index_lets_the_others_finish():
    """A Job fails by an index only when no other is under way any more."""
    lost = [pod(0, "Failed"), pod(0, "Failed", ago=50)]
    running = next_step(job(), [*lost, pod(1), pod(2)], NOW)
    assert "conditions" not in running.status
    over = next_step(job(), [*lost, pod(1, "Succeeded"), pod(2, "Succeeded")], NOW)
    assert over.status["conditions"][0]["reason"] == "FailedIndexes"


def test_the_deadline_ends_a_job_and_its_pods():
    """After activeDeadlineSeconds the Job has failed and what still runs is deleted."""
    started = {"startTime": timestamp(NOW - 11)}
    step = next_step(job(started, activeDeadlineSeconds=10), [pod(0), pod(1, "Succeeded")], NOW)
    assert step.delete == [pod(0)["metadata"]["name"]]
    assert step.status["conditions"][0]["reason"] == "DeadlineExceeded"
    assert is_over(job(step.status))


def test_the_deadline_is_awaited():
    """A Job that has time left is looked at again when it hasn't."""
    started = {"startTime": timestamp(NOW - 4)}
    step = next_step(job(started, activeDeadlineSeconds=10), [pod(i) for i in range(3)], NOW)
    assert step.again == pytest.approx(6.0)


def test_a_suspended_job_has_no_pods():
    """Suspending deletes what runs, once."""
    step = next_step(job(suspend=True), [pod(0), pod(1, deletionTimestamp="x")], NOW)
    assert step.delete == [pod(0)["metadata"]["name"]]
    assert step.status["conditions"][0]["type"] == "Suspended"


def test_a_job_that_ended_stays_as_it_is():
    """No pod is made any more, and what still runs is deleted."""
    ended = {"conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": timestamp(NOW - 10)}]}
    step = next_step(job(ended), [pod(0)], NOW)
    assert (step.create, step.delete) == ([], [pod(0)["metadata"]["name"]])
    assert step.status == ended
    assert step.again is None


@given(st.sets(st.integers(0, 40)))
def test_intervals_say_which_indexes(indexes):
    """The notation `0-2,5` names exactly the indexes that it was made of."""
    back = set()
    for part in filter(None, intervals(indexes).split(",")):
        low, _, high = part.partition("-")
        back |= set(range(int(low), int(high or low) + 1))
    assert back == indexes


def test_a_pod_says_whose_it_is():
    """A pod carries its index as label and annotation, its Job's labels, and its Job as owner."""
    made = pod_of(job(template={"metadata": {"labels": {"a": "b"}}, "spec": {"x": 1}}), 2)
    assert made["metadata"]["labels"]["a"] == "b"
    assert made["metadata"]["labels"][INDEX_LABEL] == made["metadata"]["annotations"][INDEX_LABEL] == "2"
    assert made["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert made["spec"] == {"x": 1}
    assert made["metadata"]["name"].startswith("j-2-")
