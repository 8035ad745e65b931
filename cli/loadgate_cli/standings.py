"""What a LoadTest's status means to someone who waits: still under way, or over and with which exit code."""

from __future__ import annotations

from typing import Any

from loadgate.api.conditions import RERUN_ANNOTATION, ConditionType, Outcome
from loadgate_cli.exits import Exit, exit_of
from loadgate_operator.reconcile.identity import parts, rerun_part


def ending(test: dict[str, Any]) -> Exit | None:
    """The exit code that the status comes to; None while it may still change by itself.

    A status of an older spec, or a verdict of a run before the one that the rerun annotation asks for, is none.
    """
    status = test.get("status") or {}
    if not _is_current(test, status) or _is_true(status, ConditionType.Reconciling):
        return None
    if _is_true(status, ConditionType.Complete):
        return exit_of(Outcome[status["phase"]])
    return Exit.INVALID if _is_true(status, ConditionType.Stalled) else None


def _is_current(test: dict[str, Any], status: dict[str, Any]) -> bool:
    """Whether the status is of the spec as it is now, and its verdict of the run that was asked for last.

    The annotation that asks for another run changes no generation.
    """
    if status.get("observedGeneration", -1) != test["metadata"].get("generation"):
        return False
    asked = (test["metadata"].get("annotations") or {}).get(RERUN_ANNOTATION)
    if asked is None or not _is_true(status, ConditionType.Complete):
        return True
    return parts((status.get("run") or {}).get("specHash", ""))[2] == rerun_part(asked)


def line(test: dict[str, Any]) -> str:
    """Where it stands, on one line: the phase, how far it is, and why."""
    status = test.get("status") or {}
    if not _is_current(test, status):
        return "not yet seen by the operator" + (" as it is now" if status.get("phase") else "")
    told = [str(status["phase"])]
    if "progress" in status and not _is_true(status, ConditionType.Complete):
        told.append(f"{status['progress']} %")
    said = next((c for kind in _TELLING if (c := _condition(status, kind))), None)
    if said:
        told.append(f"{said.get('reason', '')}: {said.get('message', '')}".rstrip(": "))
    return "  ".join(told)


def details(test: dict[str, Any]) -> list[str]:
    """Each broken limit and each doubt, where the one that `line` names isn't the only one."""
    status = test.get("status") or {}
    if not _is_true(status, ConditionType.Complete):
        return []
    broken = [
        f"{one['subject']} is {one.get('actual') or 'unknown'}, the limit is {one['limit']} ({one['source']})"
        for one in status.get("violations", [])
    ]
    doubts = [f"{one['reason']}: {one.get('message', '')}" for one in status.get("doubts", [])]
    return [*broken, *doubts] if len(broken) + len(doubts) > 1 else []


_TELLING = (ConditionType.Reconciling, ConditionType.Stalled, ConditionType.Passed)


def _condition(status: dict[str, Any], kind: ConditionType) -> dict[str, Any] | None:
    return next((each for each in status.get("conditions", []) if each["type"] == kind), None)


def _is_true(status: dict[str, Any], kind: ConditionType) -> bool:
    condition = _condition(status, kind)
    return condition is not None and condition["status"] == "True"
