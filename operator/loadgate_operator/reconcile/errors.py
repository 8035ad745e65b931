"""Who must act when something goes wrong: the user, or nobody yet. A target that fails is a result and no error."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadgate.api.conditions import Reason


class UserMustActError(Exception):
    """It will go wrong again until someone changes something: it becomes Stalled, with this reason and message."""

    def __init__(self, reason: Reason, message: str) -> None:
        """`message` says what to change."""
        super().__init__(message)
        self.reason = reason


class TryAgainError(Exception):
    """The world changed between looking and acting, or didn't answer: look again after a while."""


class UnstorableError(Exception):
    """The result of a run doesn't fit into the cluster, or is refused by it: the run ends without."""
