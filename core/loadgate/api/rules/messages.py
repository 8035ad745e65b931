"""What may be written into an HTTP message (URLs, headers) and on its samples (names, tags)."""

import re
from urllib.parse import urlsplit

from loadgate.api.measures import BUILT_IN_TAGS

from .findings import Findings, Node

_METADATA = re.compile(r"[0-9A-Za-z_.-]+")
_OF_GRPC = frozenset({"te", "content-type", "user-agent", "host", "connection", "content-length", "transfer-encoding"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_GRPC_URL = re.compile(r"(?i:https?|grpcs?)://[^\s/?#]+/?")
_BREAKS = re.compile(r"[\r\n\0]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BLANK = re.compile(r"[\x00-\x20\x7f]")
_EXPRESSION = re.compile(r"\$\{[^}]*\}")
_SHOWN = 40


def check_headers(findings: Findings, headers: Node) -> None:
    """Find names that aren't tokens, and values that would end the header."""
    for name, value in headers.entries():
        if not _TOKEN.fullmatch(name):
            findings.add(value, f"{name[:_SHOWN]!r} can't be a header's name", "letters, digits and `-`, no spaces")
        check_line(findings, value)
        if name.lower() == "host":
            check_fixed(findings, value)


def check_metadata(findings: Findings, metadata: Node) -> None:
    """Find names that a gRPC call's metadata can't have, and values that aren't one line."""
    for name, value in metadata.entries():
        if not _METADATA.fullmatch(name):
            findings.add(value, f"{name[:_SHOWN]!r} can't be a name in metadata", "letters, digits, `-`, `_` and `.`")
        elif name.lower().startswith("grpc-") or name.lower() in _OF_GRPC:
            findings.add(value, f"{name[:_SHOWN]!r} is gRPC's own to send", "leave it out")
        check_line(findings, value)


def check_line(findings: Findings, value: Node) -> None:
    """Find a text that would end its line in a message."""
    if value.text is not None and _BREAKS.search(value.text):
        findings.add(value, "must not hold line ends or NUL", "a header is one line")


def check_fixed(findings: Findings, node: Node) -> None:
    """Find a template where a text must be the same each time."""
    if "${" in (node.text or ""):
        findings.add(node, "must not hold ${…}", "it is the same each time")


def check_tags(findings: Findings, tags: Node) -> None:
    """Find tags that loadgate sets itself, and values that would vary."""
    for name, value in tags.entries():
        if name in BUILT_IN_TAGS:
            findings.add(value, f"loadgate sets the tag {name!r} itself", "call it something else")
        check_fixed(findings, value)


def check_base_url(findings: Findings, node: Node) -> None:
    """Find a target that can't be the base of requests; its form as an http URL is the model's to demand."""
    text = node.text or ""
    if not re.match(r"https?://[^\s/?#]", text) or _BLANK.search(text):
        return
    if fault := _authority_fault(text):
        findings.add(node, *fault)
    if "?" in text or "#" in text:
        findings.add(node, "must not have a query or a fragment", "requests' URLs are appended to it")


def check_whole_url(findings: Findings, node: Node) -> None:
    """Find a URL that can't be requested as it is written; its form as an http URL is the model's to demand."""
    text = node.text or ""
    if not re.match(r"https?://[^\s/?#]", text) or _BLANK.search(text):
        return
    if fault := _authority_fault(text):
        findings.add(node, *fault)
    if "#" in text:
        findings.add(node, "must not have a fragment", "leave out what begins with `#`")


def check_request_url(findings: Findings, node: Node) -> None:
    """Find a request URL that is neither a path nor an http URL, as far as it is written out."""
    text = node.text
    if not text:
        return
    written = _EXPRESSION.sub("", text)
    if _BLANK.search(written):
        findings.add(node, "must not hold spaces or control characters", "write %20 for a space, or use `query`")
    elif scheme := _SCHEME.match(text):
        if scheme[1].lower() not in ("http", "https"):
            findings.add(node, f"the scheme {scheme[1]!r} is not spoken", "use http or https")
        elif "${" not in text and (fault := _authority_fault(text)):
            findings.add(node, *fault)
    elif text.startswith("//") or not text.startswith(("/", "?", "${")):
        findings.add(node, "must be a path that begins with `/`, or a whole http URL", f"/{text.lstrip('/')[:_SHOWN]}")


def check_grpc_url(findings: Findings, node: Node) -> None:
    """Find a gRPC server's URL that is no whole URL of a host alone."""
    text = node.text
    if not text:
        return
    check_fixed(findings, node)
    found = _GRPC_URL.fullmatch(text)
    if found is None:
        findings.add(node, "must be a gRPC server's URL, without a path", "http://HOST:PORT, or https:// with TLS")
    elif "${" not in text and (fault := _authority_fault(text)):
        findings.add(node, *fault)


def _authority_fault(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is not a URL: {error}", ""
    if not parts.hostname or port == 0:
        return "is not a URL: it has no host, or port 0", "http://HOST:PORT/PATH"
    if "@" in parts.netloc:
        return "must not hold a user or a password", "use a request's `auth`, with a secret"
    return None
