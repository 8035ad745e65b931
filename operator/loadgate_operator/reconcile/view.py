"""One pass' view of a LoadTest: what is observed, at one instant, with the questions that every step asks of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from loadgate.api.status import LoadTestStatus
from loadgate.plan import target_faults
from loadgate_operator.reconcile import states, summarise
from loadgate_operator.reconcile.identity import cause_of_change, spec_hash
from loadgate_operator.reconcile.model import Decision, RunSeen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgate.api.conditions import Phase
    from loadgate.api.faults import Fault
    from loadgate.api.loadtest import LoadTest
    from loadgate.api.status import RunStatus
    from loadgate_operator.reconcile.model import Action, Observed, Settings

GOING = "the namespace is being deleted, and nothing begins in it any more"

SOON = 0.0
"""Look again at once: the status had to be written first."""


@dataclass(frozen=True)
class View:
    """What is observed, and when (Unix seconds). `stored` is the status as stored, where a step has a newer one."""

    observed: Observed
    now: float
    stored: LoadTestStatus | None = None

    @cached_property
    def status(self) -> LoadTestStatus:
        """The status so far; an empty one where there is none."""
        return self.observed.status or LoadTestStatus()

    @property
    def settings(self) -> Settings:
        """The operator's settings."""
        return self.observed.settings

    @property
    def generation(self) -> int:
        """The generation of the spec that this pass speaks of."""
        return int((self.observed.load_test or {}).get("metadata", {}).get("generation", 0))

    @property
    def stamp(self) -> summarise.Stamp:
        """What every new status begins with."""
        return summarise.Stamp(self.stored or self.status, self.generation, self.now)

    @property
    def test(self) -> LoadTest:
        """The valid test; asked for only where `problem` says nothing."""
        if self.observed.test is None:
            raise AssertionError("an invalid spec has no model")
        return self.observed.test

    @property
    def run(self) -> RunStatus:
        """The run that the status speaks of; asked for only where there is one."""
        if self.status.run is None:
            raise AssertionError("there is no run")
        return self.status.run

    @property
    def seen(self) -> RunSeen:
        """The run's objects; one without a Job where they are gone."""
        return self.observed.run or RunSeen(job_name="", job_uid="")

    @property
    def active(self) -> bool:
        """Whether a run was begun and isn't over."""
        return self.status.run is not None and self.status.run.finished_at is None

    @property
    def suspended(self) -> bool:
        """Whether the user asked for no runs, also where the rest of the spec can't be used."""
        spec = (self.observed.load_test or {}).get("spec")
        return isinstance(spec, dict) and spec.get("suspend") is True

    @property
    def held(self) -> str:
        """Why nothing begins at the moment; empty where it may."""
        if self.suspended:
            return "suspended: set spec.suspend to false to start a run"
        if self.observed.going:
            return GOING
        return "interrupted: the operator ends, and nothing begins any more" if self.observed.interrupted else ""

    @property
    def storable(self) -> bool:
        """Whether a result can be kept, as far as is known."""
        return not (self.observed.unstorable or self.observed.going)

    @property
    def deleting(self) -> bool:
        """Whether the LoadTest is on its way out."""
        return bool((self.observed.load_test or {}).get("metadata", {}).get("deletionTimestamp"))

    @property
    def problem(self) -> bool:
        """Whether the spec can't be used."""
        return self.observed.test is None

    @cached_property
    def forbidden(self) -> list[Fault]:
        """The URLs that load may not go to, where nothing else is wrong with the spec."""
        return target_faults(self.test, self.settings.targets)

    @cached_property
    def wanted(self) -> str:
        """The hash of the run that the spec asks for."""
        return spec_hash(self.test, self.observed.inputs, self.status.run.spec_hash if self.status.run else "")

    @property
    def changed(self) -> str:
        """Why the active run is no longer the one that is asked for; empty where it is."""
        if self.problem:
            return "the spec was changed and can't be used any more"
        if self.wanted != self.run.spec_hash:
            cause = cause_of_change(self.run.spec_hash, self.wanted)
            return f"another run is asked for ({cause}: {cause.doc})"
        return ""

    def of(self, status: LoadTestStatus) -> View:
        """The same world with another status."""
        return View(replace(self.observed, status=status), self.now, self.stored or self.status)

    def under_way(
        self,
        phase: Phase,
        reason: str,
        message: str,
        *,
        actions: Iterable[Action] = (),
        after: float | None = None,
        **changes: Any,
    ) -> Decision:
        """A decision of a run that goes on: what to do, and a status of the row that says so."""
        row = summarise.under_way(self.stamp, states.furthest(self.status.phase, phase), reason, message)
        status = self.status.model_copy(update={**changes, **row})
        return Decision(tuple(actions), status, self.settings.live if after is None else after)
