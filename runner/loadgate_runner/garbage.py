"""Keeps Python's cycle collector from stopping the load: with thousands of VUs a full collection takes 0.1 s.

Reference counts free nearly all that a request makes, so what is left to the collector is little, and it may look
seldom. What was made while arming stays to the end, so it need not be looked at again at all.
"""

from __future__ import annotations

import gc

YOUNG = 20_000
"""New objects, net, before the youngest are looked at: Python's 700 is met many times a second."""
MIDDLE = 50
"""Collections of the youngest before those that survived are looked at again."""
OLD = 1_000
"""Collections of the middle ones before all are."""


def calm() -> None:
    """Let the collector look seldom, from now on."""
    gc.set_threshold(YOUNG, MIDDLE, OLD)


def settle() -> None:
    """Collect once more, and take what is left as there to stay."""
    gc.collect()
    gc.freeze()
