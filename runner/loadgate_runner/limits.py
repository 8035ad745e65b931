"""File descriptors: raised as far as the system lets us, and counted before load begins rather than amid it."""

from __future__ import annotations

import resource

OWN = 64
"""Descriptors that a process needs besides its VUs' connections: files, pipes, control port, look-ups."""


def raise_descriptor_limit() -> None:
    """Take the hard limit as the soft one, which needs no privilege."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptor_fault(vus: int) -> str:
    """What is wrong with the descriptor limit for that many VUs, each with a connection; empty when nothing is."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = vus + OWN
    if limit == resource.RLIM_INFINITY or needed <= limit:
        return ""
    return (
        f"{vus} VUs need {needed} file descriptors and this process may open {limit}: "
        "raise the limit (ulimit -n), take fewer VUs, or more runners or processes"
    )
