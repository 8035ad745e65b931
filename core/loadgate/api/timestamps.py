"""Points in time as Kubernetes writes them: UTC, RFC 3339, whole seconds."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, PlainSerializer


def format_timestamp(moment: datetime) -> str:
    """The moment in UTC, such as `2026-11-24T08:15:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Timestamp = Annotated[
    AwareDatetime, Field(strict=False), PlainSerializer(format_timestamp, return_type=str, when_used="json")
]
