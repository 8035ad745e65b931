"""What the control side needs from whoever makes the load: this process, or several children."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgate.metrics import Health, Measurement


class ArmError(Exception):
    """The load can't be made; the message says what to change."""


class LoadError(Exception):
    """The making of load broke down, and what was measured isn't whole."""


@dataclass(frozen=True)
class View:
    """How much of a measurement is wanted: with slices of time, with what isn't judged."""

    slices: bool = True
    warmup: bool = False


@dataclass(frozen=True)
class Reading:
    """What was measured so far, and how those who measured are doing."""

    measurement: Measurement
    health: Health


class Maker(Protocol):
    """Makes a runner's share of the load. Instants are nanoseconds of CLOCK_MONOTONIC, one for the whole machine."""

    async def arm(self) -> None:
        """Check and prepare all that can be before the start. Raises ArmError."""

    async def run_block(self, name: str, setup: Mapping[str, Any]) -> dict[str, Any]:
        """Do the plan's `setup` or `teardown` block. Raises BlockError."""

    async def run(self, begin: int, offset: float, setup: Mapping[str, Any]) -> bool:
        """Begin at `begin`, at the place `offset` (seconds) of the schedule; returns when all load is over.

        Whether the share was done as planned, to its end. Raises LoadError.
        """

    def stop(self, *, graceful: bool) -> None:
        """End the load; may be said again, to hurry."""

    async def read(self, view: View) -> Reading:
        """What was measured so far."""

    async def close(self) -> None:
        """Let go of everything."""
