"""Which run belongs to which spec: digests of what alters the load or the target, and of what judges.

A run's hash has three parts, `LOAD.INPUTS.RERUN`, so that it also says why another run is another one. Defaults are
left out of what is hashed: writing one down is no change, and neither is a new field that nobody uses yet.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from loadgate.api.conditions import RERUN_ANNOTATION, Cause
from loadgate_operator.manifests import names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgate.api.base import Model
    from loadgate.api.budget import PerformanceBudget
    from loadgate.api.loadtest import LoadTest
    from loadgate_operator.reconcile.model import Inputs

JUDGING = ("thresholds", "budgets", "tolerateDoubts")
"""Fields of a spec that change a verdict and no load."""

BOOKKEEPING = ("suspend", "deadline", "startDeadline", "historyLimit", "ttlSecondsAfterFinished", "onInconclusive")
"""Fields of a spec that change neither a load nor a verdict."""

NO_RERUN = "0"
_MISSING = "missing"


def spec_hash(test: LoadTest, inputs: Inputs, previous: str = "") -> str:
    """The hash of the run that this test asks for.

    An input that is missing and a rerun annotation that was taken away ask for nothing new: the `previous` run's
    part of the hash stands, where it can.
    """
    before = parts(previous)
    load = {key: value for key, value in _plain(test.spec).items() if key not in JUDGING and key not in BOOKKEEPING}
    rerun = test.metadata.annotations.get(RERUN_ANNOTATION)
    asked = rerun_part(rerun) if rerun is not None else before[2] or NO_RERUN
    return ".".join((_digest(load), _inputs_part(inputs, _digest(load), before), asked))


def _inputs_part(inputs: Inputs, load: str, before: tuple[str, str, str]) -> str:
    if not inputs.missing_config_maps:
        return _digest(dict(inputs.config_maps))
    return before[1] if before[0] == load and before[1] else _MISSING


def parts(hash_of_spec: str) -> tuple[str, str, str]:
    """The three parts of a run's hash; empty ones where there is no run."""
    load, _, rest = hash_of_spec.partition(".")
    inputs, _, rerun = rest.partition(".")
    return load, inputs, rerun


def rerun_part(asked: str) -> str:
    """What the value of the rerun annotation comes to in a run's hash."""
    return _digest(asked)


def cause_of_change(before: str, after: str) -> Cause:
    """Why a run with the hash `after` follows one with `before`."""
    old, new = parts(before), parts(after)
    if old[0] != new[0]:
        return Cause.SpecChanged
    return Cause.InputsChanged if old[1] != new[1] else Cause.Rerun


def limits_hash(test: LoadTest, budgets: Iterable[PerformanceBudget]) -> str:
    """The hash of all that judges: thresholds, tolerated doubts and the budgets with what they ask for."""
    spec = _plain(test.spec)
    by_name = {budget.metadata.name: _plain(budget.spec) for budget in budgets}
    for asked in by_name.values():
        asked.pop("selector", None)  # it says whom a budget judges, not how
    return _digest([spec.get("thresholds"), sorted(spec.get("tolerateDoubts", ())), by_name])


def run_id(test: LoadTest, number: int, hash_of_spec: str, attempt: int) -> str:
    """The run's name. The same run has the same name whoever asks, so that making it twice makes it once."""
    seed = f"{test.metadata.uid}/{number}/{hash_of_spec}/{attempt}"
    suffix = base64.b32encode(hashlib.sha256(seed.encode()).digest()).decode().lower()[:5]
    return names.run_id(test.metadata.name, number, suffix)


def _plain(model: Model) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _digest(value: object) -> str:
    data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(data).hexdigest()[:12]
