"""What one virtual user carries from step to step. Small: there may be ten thousand of them in a process."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .ports import Sender


class State:
    """A virtual user's own things; `vars`, `rows` and `late_ns` are of the current iteration."""

    __slots__ = (
        "_random",
        "_seed",
        "client",
        "cookies",
        "draws",
        "id",
        "iteration",
        "late_ns",
        "number",
        "rows",
        "trace",
        "untraced",
        "user",
        "vars",
    )

    def __init__(self, vu_id: int, client: Sender, seed: int) -> None:
        self.id: int = vu_id
        self.iteration: int = 0  # how often it began before
        self.number: int = 0  # the iteration's number in the scenario
        self.late_ns: int | None = None  # how late the iteration began, until its first request was charged with it
        self.vars: dict[str, Any] = {}
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.client = client
        self.cookies = client.cookies
        self.trace: str | None = None  # the id of the request under way, where it is traced
        self.untraced: int = -1  # requests until the next one that is; -1: not drawn yet
        self.draws: int = 0  # what was drawn for tracing so far
        self.user: Any = None  # how a Python journey sees all this, made at its first iteration
        self._seed = seed
        self._random: Random | None = None

    @property
    def random(self) -> Random:
        """The virtual user's own generator, made when first used: the same seed and id give the same numbers."""
        if self._random is None:
            self._random = Random(f"{self._seed}/{self.id}")
        return self._random
