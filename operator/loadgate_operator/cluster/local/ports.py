"""Ports of loopback that are free now, out of the range that outgoing connections take theirs from."""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

LOOPBACK = "127.0.0.1"
FIRST, LAST = 20_000, 31_999
"""Below Linux' range of ephemeral ports: load that is being made can't take a port between our look and its use."""


def free_port(taken: Container[int] = ()) -> int:
    """A port that nobody listens on and that isn't `taken`. Raises OSError where there is none."""
    start = random.randint(FIRST, LAST)
    span = LAST - FIRST + 1
    for step in range(span):
        port = FIRST + (start - FIRST + step) % span
        if port not in taken and _is_free(port):
            return port
    raise OSError(f"no free port from {FIRST} to {LAST} on {LOOPBACK}")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
