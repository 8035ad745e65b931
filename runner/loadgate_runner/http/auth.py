"""Values of the `Authorization` header."""

from base64 import b64encode


def basic(username: str, password: str) -> str:
    """Basic credentials (RFC 7617), in UTF-8."""
    return "Basic " + b64encode(f"{username}:{password}".encode("utf-8", "replace")).decode("ascii")


def bearer(token: str) -> str:
    """A bearer token (RFC 6750)."""
    return f"Bearer {token}"
