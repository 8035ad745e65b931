"""What steps are compiled with, handed from each step's compiler to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .ports import Bearer, Recorder, Sleep, Tags
    from .scope import Scope
    from .target import Target
    from .tracing import Tracing


@dataclass(frozen=True)
class Workshop:
    """What steps are compiled with; `group` is where the compiler stands."""

    scope: Scope
    target: Target
    files: Path
    recorder: Recorder
    sleep: Sleep
    tags: dict[str, str] = field(default_factory=dict)
    group: str = ""
    tracing: Tracing | None = None
    """None: no request is traced."""
    tokens: Bearer | None = None
    """What requests to the target carry that say nothing else of who they are."""

    def series_tags(self, **more: str) -> Tags:
        """Return sorted tags; a sample's own win over the scenario's."""
        return tuple(sorted({**self.tags, "scenario": self.scope.scenario, "group": self.group, **more}.items()))
