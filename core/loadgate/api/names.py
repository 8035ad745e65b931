"""The forms of the names and texts that several models hold."""

from typing import Annotated

from pydantic import Field, StringConstraints

ObjectName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
]
"""What Kubernetes calls an object: a DNS subdomain."""

LabelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
"""A DNS label."""

Key = Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
"""A key of a ConfigMap or a Secret."""

SourceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]([-_A-Za-z0-9]*[A-Za-z0-9])?$", max_length=63)]
"""What a template may call a secret or a data source."""

VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]
"""A variable of a journey."""

TagName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]
"""The name of a tag; Prometheus' labels have the same form."""

ShortText = Annotated[str, StringConstraints(max_length=256)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
Body = Annotated[str, StringConstraints(max_length=262_144)]
Tags = Annotated[dict[TagName, ShortText], Field(max_length=16)]
Headers = Annotated[dict[ShortText, Annotated[str, StringConstraints(max_length=8192)]], Field(max_length=64)]
