"""Why a request failed: a closed list, because it becomes a label on measurements and a word in verdicts."""

import ssl
from enum import StrEnum


class Failure(StrEnum):
    """The kinds of failure. An HTTP status is never one of them: a 500 is an answer."""

    DNS = "dns"
    """The name has no address."""
    DENIED = "denied"
    """Load may not go to any address of the host, so no connection was tried."""
    CONNECT = "connect"
    """No TCP connection: refused, unreachable, no free port or file descriptor here."""
    PROXY = "proxy"
    """The proxy opened no tunnel: it refused to, wanted other credentials, or didn't answer in HTTP."""
    TLS = "tls"
    """TCP stood, but the handshake failed: certificate, protocol, or the peer went away in it."""
    TIMEOUT = "timeout"
    """One of the four time limits (connect, TLS, first byte, total) passed."""
    RESET = "reset"
    """The peer closed or reset the connection before its answer was whole."""
    PROTOCOL = "protocol"
    """What came is not HTTP, or its head is larger than the limit."""
    REDIRECTS = "redirects"
    """More redirects than allowed, or one that leads nowhere."""
    BODY = "body"
    """The body ended early or can't be decoded."""
    CLOSED = "closed"
    """The peer closed a WebSocket, in order, before all was done over it."""
    GRAPHQL = "graphql"
    """The answer to a GraphQL operation has errors, or is none."""
    GRPC = "grpc"
    """A gRPC call ended with another status than the one that is wished for."""


ANSWERED = frozenset({Failure.GRAPHQL, Failure.GRPC})
"""Failures of an answer that came whole: there is something to check and to extract from."""


class RequestFailed(Exception):  # noqa: N818  it names what happened, and never leaves this package
    """A failure on its way to becoming a sample; `kind` and `message` are what the response will say."""

    def __init__(self, kind: Failure, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def in_words(fault: Exception) -> str:
    """An error without Python's decoration."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {fault.verify_message}"
    if isinstance(fault, ssl.SSLError):
        return (fault.reason or str(fault)).replace("_", " ").lower()
    if isinstance(fault, OSError):
        return fault.strerror or str(fault) or "no answer"
    return str(fault)
