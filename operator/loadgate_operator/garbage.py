"""Lets Python's cycle collector look seldom: a thousand tests and their runners' snapshots are much to look through.

Reference counts free nearly everything, so little is left to find, and each full look stops the loop that starts
runners together.
"""

from __future__ import annotations

import gc

YOUNG, MIDDLE, OLD = 20_000, 20, 100
"""New objects, net, before the youngest are looked at, and looks before those that survived are looked at again."""


def calm() -> None:
    """From now on; what is there by now, modules above all, stays for good and isn't looked at any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
