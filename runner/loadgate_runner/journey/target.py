"""What a target says for every request that goes to it, made ready for the HTTP client."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loadgate.api.grammar.noproxy import NoProxy
from loadgate.api.steps import Request, WebSocket
from loadgate_runner.http import (
    TLS,
    Keeping,
    Options,
    Origin,
    Protocol,
    Proxy,
    Rates,
    Timeouts,
    basic,
    locate,
    tls_fault,
)

from .data import read_file
from .errors import JourneyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from loadgate.api.steps import Call
    from loadgate.api.target import Timeouts as RequestTimeouts
    from loadgate.plan.document import PlanConnection, PlanProxy, PlanTarget


@dataclass(frozen=True)
class Target:
    """Where relative requests go, and what they go with; `base` is a path without a last slash."""

    origin: Origin
    base: bytes
    headers: Mapping[str, str]
    options: Options

    def options_for(self, call: Call) -> Options:
        """Return the options of one request: its own where it has some, the target's where not."""
        host = next((value for name, value in call.headers.items() if name.lower() == "host"), None)
        redirects = call.max_redirects if isinstance(call, Request) else None
        return replace(
            self.options,
            timeouts=_timeouts(call.timeout) if call.timeout else self.options.timeouts,
            host=call.host or host or self.options.host,
            max_redirects=self.options.max_redirects if redirects is None else redirects,
            compressed=call.compresses,
            proxy=_proxy_of(call, self.options.proxy),
        )


def load(target: PlanTarget, files: Path, environ: Mapping[str, str]) -> Target:
    """Read a plan's target with the certificates that it names."""
    origin, _ = place(target.url)
    _, path = locate(target.url.partition("?")[0])
    timeouts = target.timeouts
    proxy = _proxy(target.proxy, files, environ) if target.proxy else None
    if proxy is not None and target.protocol == "HTTP/2":
        proxy = replace(proxy, tunnels=True)  # one that forwards would speak HTTP/1.1 with us
    options = Options(
        timeouts=_bounded_by(timeouts.total, timeouts.connect, timeouts.tls, timeouts.first_byte),
        tls=_tls(target, files, environ),
        host=target.host,
        max_redirects=target.max_redirects,
        keeping=_keeping(target.connection),
        rates=_rates(target.connection),
        proxy=proxy,
        protocol=_protocol(target, origin),
    )
    if fault := tls_fault(options.tls):
        raise JourneyError(f"the target's TLS settings: {fault}")
    if options.proxy and (fault := tls_fault(options.proxy.tls)):
        raise JourneyError(f"the TLS settings of the target's proxy: {fault}")
    return Target(origin, path.rstrip(b"/"), target.headers, options)


def place(url: str) -> tuple[Origin, bytes]:
    """Return where an absolute URL leads, with its path; JourneyError where nowhere."""
    try:
        return locate(url)
    except ValueError as error:
        raise JourneyError(str(error)) from error


def is_absolute(url: str) -> bool:
    """Say whether a URL has its own scheme."""
    return url[:8].lower().startswith(("http://", "https://"))


def _proxy_of(call: Call, proxy: Proxy | None) -> Proxy | None:
    """A WebSocket goes through a tunnel (RFC 6455, 4.1): proxies know no upgrades."""
    return replace(proxy, tunnels=True) if proxy is not None and isinstance(call, WebSocket) else proxy


def _proxy(proxy: PlanProxy, files: Path, environ: Mapping[str, str]) -> Proxy:
    where = "the target's proxy"
    user, password = (_secret(name, environ, where) for name in (proxy.username_env, proxy.password_env))
    return Proxy(
        place(proxy.url)[0],
        NoProxy(proxy.no_proxy),
        "" if user is None or password is None else basic(user, password),
        TLS(ca=_pem(proxy.ca_file, proxy.ca_env, files, environ, where)),
    )


def _tls(target: PlanTarget, files: Path, environ: Mapping[str, str]) -> TLS:
    where = "the target's TLS settings"
    ca = _pem(target.ca_file, target.ca_env, files, environ, where)
    cert, key = (_secret(name, environ, where) for name in (target.cert_env, target.key_env))
    return TLS(target.verify, ca, cert, key, target.server_name)


def _pem(file: str | None, variable: str | None, files: Path, environ: Mapping[str, str], where: str) -> str | None:
    """Certificates from a file, or from a variable."""
    return read_file(files / file).decode("utf-8", "replace") if file else _secret(variable, environ, where)


def _secret(variable: str | None, environ: Mapping[str, str], where: str) -> str | None:
    if variable is None:
        return None
    if variable not in environ:
        raise JourneyError(f"{where}: {variable} isn't set")
    return environ[variable]


def _keeping(connection: PlanConnection) -> Keeping | None:
    requests = 1 if connection.reuse == "never" else connection.max_requests
    bounds = (requests, connection.max_age, connection.idle_timeout)
    return None if bounds == (None, None, None) else Keeping(*bounds)


def _rates(connection: PlanConnection) -> Rates | None:
    up, down = connection.upload_rate, connection.download_rate
    return None if up is None and down is None else Rates(up or 0.0, down or 0.0)


def _protocol(target: PlanTarget, origin: Origin) -> Protocol | None:
    if target.protocol == "HTTP/1.1":
        return None
    return Protocol(origin, target.connection.share) if target.protocol == "HTTP/2" else Protocol()


def _timeouts(timeouts: RequestTimeouts) -> Timeouts:
    parts = (timeouts.connect, timeouts.tls, timeouts.first_byte)
    return _bounded_by(timeouts.total.seconds, *(part.seconds if part else None for part in parts))


def _bounded_by(total: float, connect: float | None, tls: float | None, first_byte: float | None) -> Timeouts:
    connect, tls, first_byte = (total if part is None else min(part, total) for part in (connect, tls, first_byte))
    return Timeouts(connect, tls, first_byte, total)
