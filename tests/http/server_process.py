"""A server in a process of its own, which is there once it takes connections: of examples, and of other projects."""

import socket
import subprocess
import time
from contextlib import contextmanager, suppress


def free_port():
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serving(command, port, *, seconds=30, **how):
    """Run a command that serves on a port of loopback, from when it does until the end; `how` is Popen's."""
    with subprocess.Popen(command, **how) as process:
        try:
            _wait(process, port, time.monotonic() + seconds)
            yield
        finally:
            process.terminate()


def _wait(process, port, deadline):
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"{process.args} takes no connection: its exit code is {process.poll()}")
