"""The forms of the names and texts that several models hold."""

from typing import Annotated

from pydantic import Field, StringConstraints

_OBJECT = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_KEY = r"^[-._a-zA-Z0-9]+$"
_SOURCE = r"^[A-Za-z]([-_A-Za-z0-9]*[A-Za-z0-9])?$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
_ENVIRONMENT = r"^[-._a-zA-Z][-._a-zA-Z0-9]*$"
_PART = "[.]?[-_a-zA-Z0-9][-._a-zA-Z0-9]*"  # neither `.` nor `..`
_FOLDER = rf"^(/{_PART})+$"
_RELATIVE = rf"^{_PART}(/{_PART})*$"
_FIELD_PATH = (
    r"^(metadata[.](name|namespace|uid)|spec[.](nodeName|serviceAccountName)|status[.](podIP|hostIP)"
    r"|metadata[.](labels|annotations)\[\x27[-._/a-zA-Z0-9]+\x27\])$"
)
_IMAGE = r"^[a-zA-Z0-9][-._:@/a-zA-Z0-9]*$"
_GRPC_METHOD = r"^([A-Za-z_][A-Za-z0-9_]*[.])*[A-Za-z_][A-Za-z0-9_]*/[A-Za-z_][A-Za-z0-9_]*$"
URL_PATTERN = r"^https?://[^\s/?#]+[^\s]*$"
PROXY_PATTERN = r"^https?://[^\s/?#@]+/?$"
_FOLDERED = "[.]?[_a-zA-Z0-9][-._a-zA-Z0-9]*"  # nor what a compiler takes for an option
PROTO_PATH = rf"^({_FOLDERED}/)*{_FOLDERED}[.]proto$"
_SCOPE = r"^[!#-\[\]-~]+$"

PATTERNS = {
    _SCOPE: "printable characters without spaces, quotes and backslashes",
    _OBJECT: "lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit",
    _LABEL: "lower-case letters, digits and `-`, beginning and ending with a letter or digit",
    _KEY: "letters, digits, `-`, `_` and `.`",
    _SOURCE: "letters, digits, `-` and `_`, beginning with a letter",
    _VARIABLE: "letters, digits and `_`, not beginning with a digit",
    _LABEL_KEY: "a label's key: at most 63 letters, digits, `-`, `_` and `.`, perhaps after a domain and `/`",
    _LABEL_VALUE: "a label's value: at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends",
    _ENVIRONMENT: "letters, digits, `-`, `_` and `.`, not beginning with a digit",
    _FOLDER: "an absolute path like /var/data, without `..`, and without `/` at its end",
    _RELATIVE: "a relative path like certs/ca.pem, without `..`",
    _FIELD_PATH: "a field that a container may ask for, like spec.nodeName, status.hostIP or metadata.labels['team']",
    _IMAGE: "the name of an image, like registry.example/team/runner:1.2",
    PROTO_PATH: "a path as files import it, like shop/v1/prices.proto, without `..`",
    _GRPC_METHOD: "a service and its method, like shop.v1.Catalogue/GetProduct",
    URL_PATTERN: "an http or https URL, like http://shop.default.svc",
    PROXY_PATTERN: "an http or https URL without a path, a user or a password, like http://proxy.example:3128",
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

LabelKey = Annotated[str, StringConstraints(pattern=_LABEL_KEY, max_length=317)]
"""A key of a label, a node selector or an annotation."""

LabelValue = Annotated[str, StringConstraints(pattern=_LABEL_VALUE, max_length=63)]
"""A label's value, which may be empty."""

EnvironmentName = Annotated[str, StringConstraints(pattern=_ENVIRONMENT, max_length=253)]
"""An environment variable."""

MountPath = Annotated[str, StringConstraints(pattern=_FOLDER, max_length=512)]
"""Where in a container something is."""

RelativePath = Annotated[str, StringConstraints(pattern=_RELATIVE, max_length=512)]
"""Where in a volume something is."""

FieldPath = Annotated[str, StringConstraints(pattern=_FIELD_PATH, max_length=400)]
"""A field of a pod."""

ImageName = Annotated[str, StringConstraints(pattern=_IMAGE, max_length=512)]
"""A container's image."""

OAuthScope = Annotated[str, StringConstraints(pattern=_SCOPE, max_length=256)]
"""One scope of OAuth 2.0 (RFC 6749, 3.3)."""

AwsName = Annotated[str, StringConstraints(pattern=_LABEL, min_length=1, max_length=63)]
"""A region of AWS, or a service's name in signatures."""

Url = Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=URL_PATTERN)]
"""A whole http or https URL."""

GRPCMethod = Annotated[str, StringConstraints(pattern=_GRPC_METHOD, max_length=256)]
"""A method as gRPC writes it, without the first slash."""

ShortText = Annotated[str, StringConstraints(max_length=256)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
Body = Annotated[str, StringConstraints(max_length=262_144)]
Tags = Annotated[dict[TagName, ShortText], Field(max_length=16)]
Headers = Annotated[dict[ShortText, Annotated[str, StringConstraints(max_length=8192)]], Field(max_length=64)]
