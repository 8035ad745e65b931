"""Connections that can't be made for want of something that is ours: the target never heard of them."""

import errno
from collections.abc import Callable

_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_PORTS = frozenset({errno.EADDRNOTAVAIL, errno.EADDRINUSE})
_BUFFERS = frozenset({errno.ENOBUFS, errno.ENOMEM})


class Shortage:
    """Counts them by what was wanting, while `counting` says so. One per process and run."""

    def __init__(self, counting: Callable[[], bool] = lambda: True) -> None:
        self._counting = counting
        self.descriptors = 0
        """For want of a file descriptor: the process' limit, or the machine's."""
        self.ports = 0
        """For want of a local port to that address, or of any local address that leads there."""
        self.buffers = 0
        """For want of memory in the kernel."""

    def note(self, fault: OSError) -> None:
        """Count a connection that failed with this error, if it is one of ours."""
        if not self._counting():
            return
        self.descriptors += fault.errno in _DESCRIPTORS
        self.ports += fault.errno in _PORTS
        self.buffers += fault.errno in _BUFFERS
