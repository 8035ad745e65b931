"""A runner's log: one plain line an event, on standard error."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime


def log(message: str) -> None:
    """Write a line. A message of several lines (a traceback) becomes one, so that a line is an event."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = " | ".join(line for line in message.splitlines() if line.strip())
    # Who read the log may be gone; load goes on without it.
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{at} {text}\n")
        sys.stderr.flush()


def hand_out(line: str) -> None:
    """Write a line to standard output, which holds nothing but what others read by machine."""
    with contextlib.suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
