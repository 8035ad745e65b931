"""What a runner gives its journeys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loadgate.plan.share import Share

from . import data, target
from .data import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from loadgate.plan.document import Plan, PlanData, PlanTarget
    from loadgate_runner.http import Signer

    from .ports import Bearer, Clock, Recorder, Sender, Sleep
    from .rows import Row, Rows
    from .target import Target


@dataclass
class Context:
    """One process's part of a run. `share` deals `unique` rows; `client` makes one virtual user's HTTP client."""

    run: str
    runner_index: int
    files: Path
    environ: Mapping[str, str] = field(repr=False)
    recorder: Recorder
    clock: Clock
    sleep: Sleep
    client: Callable[[], Sender]
    log: Callable[[str], None]
    seed: int = 0
    share: Share = field(default_factory=Share)
    setup: dict[str, Any] = field(default_factory=dict)
    """What the setup block extracted; filled before the first iteration."""
    shared: Mapping[str, Rows] = field(default_factory=dict)
    """Rows of data files that another process has read for us, by the source's name."""
    tokens: Bearer | None = None
    """The target's token, where its `auth` asks for one."""
    signer: Signer | None = None
    """What signs requests to the target, where its `auth` asks for that."""
    kept: dict[Any, Any] = field(default_factory=dict, repr=False)
    """What steps of all scenarios may share."""
    _sources: dict[str, Source] = field(default_factory=dict)
    _target: tuple[PlanTarget, Target] | None = None

    def sources(self, plan: Plan) -> Mapping[str, Source]:
        """The plan's data, read once: scenarios share the rows that are left of a `unique` source."""
        for name in plan.data.keys() - self._sources.keys():
            described = plan.data[name]
            rows = self.shared[name] if name in self.shared else self._rows(described)
            self._sources[name] = Source(name, rows, described.order, self.share)
        return self._sources

    def target(self, plan: Plan) -> Target:
        """The plan's target, read once. Raises JourneyError."""
        if self._target is None or self._target[0] is not plan.target:
            self._target = plan.target, target.load(plan.target, self.files, self.environ)
        return self._target[1]

    def _rows(self, described: PlanData) -> Rows | list[Row]:
        if described.file is None:
            return [dict(row) for row in described.rows or []]
        return data.read_rows(self.files / described.file, described.format)
