"""Ending for sure: with the parent, however it ends (the kernel sends a signal, SIGKILL included), and at the end."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTION = "--die-with-parent"

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent (process `parent`) dies; ends at once if it is dead already.

    Linux only: elsewhere there is no such call, and a closed pipe has to do.
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:
        os._exit(1)


def parent_in(arguments: Sequence[str]) -> int | None:
    """The process that a command line says to die with: the one named, or the parent there is now; None for none."""
    for argument in arguments:
        option, _, number = argument.partition("=")
        if option == OPTION:
            return int(number) if number.isdigit() else os.getppid()
    return None


def leave(code: int) -> NoReturn:
    """End this process now, whatever still runs in it: an iteration may withstand everything but this."""
    os._exit(code)
