"""What steps are compiled with, handed from each step's compiler to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from loadgate_runner.http import Signer

    from .ports import Bearer, Recorder, Sender, Sleep, Tags
    from .scope import Scope
    from .target import Target
    from .tracing import Tracing

    Preparation = Callable[[Sender], Awaitable[None]]
    """Raises JourneyError."""


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
    signer: Signer | None = None
    """What signs these same requests, in place of a token."""
    preparations: list[Preparation] = field(default_factory=list)
    """What steps have to do before they are done for the first time, collected as they are compiled."""
    kept: dict[Any, Any] = field(default_factory=dict, repr=False)
    """What steps of all scenarios of a process may share."""

    async def prepare(self, client: Sender) -> None:
        """Do what the compiled steps have to have done first. Raises JourneyError."""
        for prepare in self.preparations:
            await prepare(client)

    def series_tags(self, **more: str) -> Tags:
        """Return sorted tags; a sample's own win over the scenario's."""
        return tuple(sorted({**self.tags, "scenario": self.scope.scenario, "group": self.group, **more}.items()))
