"""What the objects of a run are called and labelled: from a run's name to them, and from them back to the test.

Labels and annotations are put on our own objects only. The one annotation that users write on a LoadTest is
`loadgate.dev/rerun`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadgate.api.loadtest import LoadTest

OPERATOR = "loadgate"
"""The field manager of all writes, and the value of `app.kubernetes.io/managed-by`."""

TEST_LABEL = "loadgate.dev/test"
RUN_LABEL = "loadgate.dev/run"
COMPONENT_LABEL = "app.kubernetes.io/component"
JOB_LABEL = "batch.kubernetes.io/job-name"
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"

RUN_NUMBER_ANNOTATION = "loadgate.dev/run-number"

LONGEST_NAME = 63
"""A label's value has at most this many characters, and what we name is also a label's value somewhere."""

LONGEST_RUN = 50
"""A Job's pods are called `JOB-INDEX` in their host name, which has at most 63; `-token` fits as well."""

_HASH_LENGTH = 8


def shorten(name: str, longest: int = LONGEST_NAME) -> str:
    """The name as it is where it fits; else its beginning and a hash of all of it, so that two long names differ."""
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[: longest - _HASH_LENGTH - 1].rstrip('-.')}-{digest}"


def run_id(test: str, number: int, suffix: str) -> str:
    """What a run is called: `checkout-3-x7k2f`, at most 50 characters and a valid name of a Job."""
    tail = f"-{number}-{suffix}"
    return shorten(test.replace(".", "-"), LONGEST_RUN - len(tail)) + tail


def job_name(run: str) -> str:
    """The run's Job, named as the run is."""
    return run


def plan_name(run: str) -> str:
    """The ConfigMap of the run's plan."""
    return f"{run}-plan"


def token_name(run: str) -> str:
    """The Secret of the token that guards the control ports of the run."""
    return f"{run}-token"


def result_name(test: str, number: int) -> str:
    """The ConfigMap of the result of a test's run."""
    tail = f"-{number}-result"
    return shorten(test, LONGEST_NAME - len(tail)) + tail


def labels(test: str, run: str | None = None, *, component: str | None = None) -> dict[str, str]:
    """The labels of an object that belongs to a test, and to one of its runs where there is one."""
    out = {
        "app.kubernetes.io/name": "loadgate",
        "app.kubernetes.io/managed-by": OPERATOR,
        TEST_LABEL: shorten(test),
    }
    if component:
        out[COMPONENT_LABEL] = component
    return out | {RUN_LABEL: run} if run else out


def run_selector(run: str) -> dict[str, str]:
    """The labels that find what belongs to one run."""
    return {RUN_LABEL: run}


def owner_reference(test: LoadTest) -> dict[str, Any]:
    """Makes an object go when its LoadTest goes."""
    return {
        "apiVersion": test.api_version,
        "kind": test.kind,
        "name": test.metadata.name,
        "uid": test.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def metadata(test: LoadTest, name: str, run: str, component: str, **annotations: str) -> dict[str, Any]:
    """The metadata of an object of a run: its labels, and the LoadTest as its owner."""
    out: dict[str, Any] = {
        "name": name,
        "namespace": test.metadata.namespace,
        "labels": labels(test.metadata.name, run, component=component),
        "ownerReferences": [owner_reference(test)],
    }
    return {**out, "annotations": annotations} if annotations else out
