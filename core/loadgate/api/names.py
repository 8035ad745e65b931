"""The forms of the names and texts that several models hold."""

from typing import Annotated

from pydantic import Field, StringConstraints

_OBJECT = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_KEY = r"^[-._a-zA-Z0-9]+$"
_SOURCE = r"^[A-Za-z]([-_A-Za-z0-9]*[A-Za-z0-9])?$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
URL_PATTERN = r"^https?://[^\s/?#]+[^\s]*$"

PATTERNS = {
    _OBJECT: "lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit",
    _LABEL: "lower-case letters, digits and `-`, beginning and ending with a letter or digit",
    _KEY: "letters, digits, `-`, `_` and `.`",
    _SOURCE: "letters, digits, `-` and `_`, beginning with a letter",
    _VARIABLE: "letters, digits and `_`, not beginning with a digit",
    URL_PATTERN: "an http or https URL, like http://shop.default.svc",
}
"""Each form in words, for faults."""

ObjectName = Annotated[str, StringConstraints(pattern=_OBJECT, min_length=1, max_length=253)]
"""What Kubernetes calls an object: a DNS subdomain."""

LabelName = Annotated[str, StringConstraints(pattern=_LABEL, min_length=1, max_length=63)]
"""A DNS label."""

Key = Annotated[str, StringConstraints(pattern=_KEY, min_length=1, max_length=253)]
"""A key of a ConfigMap or a Secret."""

SourceName = Annotated[str, StringConstraints(pattern=_SOURCE, max_length=63)]
"""What a template may call a secret or a data source."""

VariableName = Annotated[str, StringConstraints(pattern=_VARIABLE, max_length=63)]
"""A variable of a journey."""

TagName = Annotated[str, StringConstraints(pattern=_VARIABLE, max_length=63)]
"""The name of a tag; Prometheus' labels have the same form."""

ShortText = Annotated[str, StringConstraints(max_length=256)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
Body = Annotated[str, StringConstraints(max_length=262_144)]
Tags = Annotated[dict[TagName, ShortText], Field(max_length=16)]
Headers = Annotated[dict[ShortText, Annotated[str, StringConstraints(max_length=8192)]], Field(max_length=64)]
