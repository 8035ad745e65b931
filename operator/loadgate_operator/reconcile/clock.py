"""Instants: Unix seconds in decisions, timestamps of whole seconds in statuses."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(seconds: float) -> datetime:
    """Unix seconds as a status holds them: UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), tz=UTC)


def parse(timestamp: str | None) -> float | None:
    """An RFC 3339 timestamp of an object's metadata in Unix seconds; None where there is none."""
    if not timestamp:
        return None
    return datetime.fromisoformat(timestamp).timestamp()
