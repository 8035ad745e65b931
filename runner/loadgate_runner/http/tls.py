"""TLS towards a target: one context for all VUs with the same settings, one session each to resume."""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loadgate_runner.http.settings import TLS

FIRST_ONLY = ("http/1.1",)


def build_context(tls: TLS, protocols: tuple[str, ...] = FIRST_ONLY) -> ssl.SSLContext:
    """A client's context that offers these protocols, best first (ALPN).

    Raises ValueError with a message for people where a PEM text is unusable.
    """
    try:
        context = ssl.create_default_context(cadata=tls.ca)
    except (ssl.SSLError, ValueError) as fault:
        raise ValueError(f"tls.ca holds no PEM certificate: {fault}") from fault
    context.set_alpn_protocols(list(protocols))
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert is not None or tls.key is not None:
        if tls.cert is None or tls.key is None:
            raise ValueError("tls.cert and tls.key go together")
        try:
            with _as_file(tls.cert + "\n" + tls.key) as path:
                context.load_cert_chain(path, password=_no_password)
        except (ssl.SSLError, ValueError) as fault:
            raise ValueError(
                f"tls.cert and tls.key are no PEM certificate with its unencrypted key: {fault}"
            ) from fault
    return context


def tls_fault(tls: TLS) -> str | None:
    """What is wrong with TLS settings, None when nothing: for saying so before any load."""
    if tls.ca is None and tls.cert is None and tls.key is None:
        return None  # nothing that could be wrong, and reading the system's certificates takes 50 ms
    try:
        build_context(tls)
    except ValueError as fault:
        return str(fault)
    return None


class Resumption:
    """A context to event loops, which call `wrap_bio` on it; it offers the VU's last session to the server.

    asyncio and uvloop have no argument for a session. A VU resumes its own sessions only, as a browser would.
    """

    __slots__ = ("_last", "context")

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self._last: ssl.SSLObject | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002  ssl.SSLContext's signature
        server_hostname: str | None = None,
    ) -> ssl.SSLObject:
        """Begin a handshake, with the session of the connection before it."""
        self._last = self.context.wrap_bio(incoming, outgoing, server_side, server_hostname, self._session())
        return self._last

    def _session(self) -> ssl.SSLSession | None:
        """That of the last connection, where its handshake came to one."""
        try:
            return None if self._last is None else self._last.session
        except ValueError:  # it broke off midway, and what there is of a session can't be copied
            return None

    def __getattr__(self, name: str) -> Any:
        """Whatever else an event loop asks a context."""
        return getattr(self.context, name)


@contextmanager
def _as_file(pem: str) -> Iterator[str]:
    """A path for an API that takes no text. In memory where the system can: a pod's file system may be read-only."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(pem)
            file.flush()
            yield file.name
        return
    handle = os.memfd_create("pem")
    try:
        os.write(handle, pem.encode())
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _no_password() -> str:
    """Without this, OpenSSL would ask the terminal for an encrypted key's password."""
    return ""
