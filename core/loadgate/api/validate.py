"""A manifest's values become a model, or all that is wrong with them is said at once."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from .base import Model
from .budget import PerformanceBudget
from .faults import Fault, InvalidSpec
from .loadtest import LoadTest
from .paths import parse_path
from .pods import PodTemplate
from .rules.findings import MAX_FAULTS, Findings, Node, TooManyFaults
from .rules.inputs import check_data, check_secrets, check_target, columns
from .rules.limits import check_metrics, check_thresholds, check_tolerated, samples
from .rules.pods import check_pods, check_selector
from .rules.scenarios import check_scenarios, check_times
from .rules.scope import Scope
from .rules.steps import check_count, check_signed, check_signing, check_steps, check_trust, check_ways, extracted
from .status import BudgetStatus, LoadTestStatus
from .translate import faults_of
from .yamltree import MAX_DEPTH

M = TypeVar("M", bound=Model)
_BUDGET_LIMITS = ("responseTime", "throughput", "errorRate", "metrics")


def validate_loadtest(raw: Mapping[str, Any]) -> LoadTest:
    """The LoadTest that a manifest describes; InvalidSpec carries every fault.

    The status is the operator's own word: one that can't be read (an older version wrote it) counts as none.
    """
    test = _validated(LoadTest, _without_status(raw), _of_spec(_check_loadtest))
    return test.model_copy(update={"status": _status(LoadTestStatus, raw)})


def validate_budget(raw: Mapping[str, Any]) -> PerformanceBudget:
    """The PerformanceBudget that a manifest describes; InvalidSpec carries every fault."""
    budget = _validated(PerformanceBudget, _without_status(raw), _of_spec(_check_budget))
    return budget.model_copy(update={"status": _status(BudgetStatus, raw)})


def validate_pods(raw: Mapping[str, Any]) -> PodTemplate:
    """What an installation says of all runners' pods; InvalidSpec carries every fault."""
    return _validated(PodTemplate, raw, check_pods)


def _of_spec(check: Callable[[Findings, Node], None]) -> Callable[[Findings, Node], None]:
    return lambda findings, described: check(findings, described["spec"])


def _validated(model: type[M], described: Mapping[str, Any], check: Callable[[Findings, Node], None]) -> M:
    if _is_deep(described):
        raise InvalidSpec([Fault("", f"values stand more than {MAX_DEPTH} deep inside one another")])
    findings = Findings()
    with contextlib.suppress(TooManyFaults):
        check(findings, Node((), described))
    try:
        validated = model.model_validate(described, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidSpec(_in_order(faults_of(error, model, described), findings.faults, described)) from None
    if findings.faults:
        raise InvalidSpec(_in_order([], findings.faults, described))
    return validated


def _without_status(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if key != "status"}


def _is_deep(raw: object) -> bool:
    """Whether values stand so deep that walking through them could exhaust the stack; says so without recursion."""
    layer = [raw]
    for _ in range(MAX_DEPTH + 1):
        layer = [inner for value in layer for inner in _inside(value)]
        if not layer:
            return False
    return True


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _status(model: type[M], raw: Mapping[str, Any]) -> M:
    try:
        return model.model_validate(raw.get("status") or {}, by_alias=True, by_name=False)
    except ValidationError:
        return model()


def _in_order(shape: list[Fault], meaning: list[Fault], raw: object) -> list[Fault]:
    """The first faults in the manifest's order, without those of meaning where the shape is already at fault."""
    at_fault = {fault.path for fault in shape}
    faults = shape + [fault for fault in meaning if fault.path not in at_fault]
    ordered = sorted(dict.fromkeys(faults), key=lambda fault: _position(fault.path, raw))
    if len(ordered) < MAX_FAULTS:
        return ordered
    return [*ordered[:MAX_FAULTS], Fault("", "has more faults than are listed here", "mend these first")]


def _position(path: str, raw: object) -> tuple[int, ...]:
    position: list[int] = []
    for part in parse_path(path):
        if isinstance(raw, Mapping) and part in raw:
            position.append(list(raw).index(part))
            raw = raw[part]
        elif isinstance(raw, list) and isinstance(part, int) and part < len(raw):
            position.append(part)
            raw = raw[part]
        else:
            break
    return tuple(position)


def _check_loadtest(findings: Findings, spec: Node) -> None:
    known = samples(spec)
    secrets = frozenset(spec["secrets"].keys)
    data = columns(spec["data"])
    setup_steps, teardown_steps = spec["setup"]["steps"], spec["teardown"]["steps"]
    setup = frozenset(extracted(setup_steps))
    check_target(findings, spec["target"], Scope(secrets, data, setup))
    check_pods(findings, spec["runners"])
    check_secrets(findings, spec["secrets"])
    check_data(findings, spec["data"])
    check_steps(findings, setup_steps, Scope(secrets, data, in_setup=True))
    check_steps(findings, teardown_steps, Scope(secrets, data, setup))
    check_scenarios(findings, spec["scenarios"])
    for scenario in spec["scenarios"].each():
        check_steps(findings, scenario["steps"], Scope(secrets, data, setup))
    blocks = [setup_steps, teardown_steps, *(s["steps"] for s in spec["scenarios"].each())]
    check_count(findings, spec, blocks)
    check_trust(findings, spec, blocks)
    check_ways(findings, spec, blocks)
    check_signing(findings, spec, blocks)
    check_signed(findings, spec, blocks)
    check_times(findings, spec)
    check_thresholds(findings, spec["thresholds"], known)
    check_tolerated(findings, spec["tolerateDoubts"])


def _check_budget(findings: Findings, spec: Node) -> None:
    check_metrics(findings, spec["metrics"])
    if isinstance(spec.value, dict) and not any(spec[limit].value for limit in _BUDGET_LIMITS):
        findings.add(spec, "asks for nothing", f"give at least one of {', '.join(_BUDGET_LIMITS)}")
    check_selector(findings, spec["selector"])
