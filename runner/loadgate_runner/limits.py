"""File descriptors: raised as far as the system lets us, and counted before load begins rather than amid it."""

from __future__ import annotations

import resource

OWN = 64
"""Descriptors that a process needs besides its VUs' connections: files, pipes, control port, look-ups."""


def raise_descriptor_limit() -> None:
    """Take the hard limit as the soft one, which needs no privilege."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptor_fault(vus: int, most: int | None = None) -> str:
    """What is wrong with the descriptor limit for that many VUs; empty when nothing is.

    Each has a connection, unless they take them from a pool of `most`, which is this process' part of maxConnections.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    connections = vus if most is None else min(vus, most)
    needed = connections + OWN
    if limit == resource.RLIM_INFINITY or needed <= limit:
        return ""
    who, less = f"{vus} VUs need", "take fewer VUs, or more runners or processes"
    if connections < vus:
        who = f"{connections} connections for {vus} VUs need"
        less = "lower target.connection.maxConnections, or take more runners or processes"
    return f"{who} {needed} file descriptors and this process may open {limit}: raise the limit (ulimit -n), {less}"
