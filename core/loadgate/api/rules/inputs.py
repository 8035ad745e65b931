"""What the target, secrets and data must mean."""

from loadgate.api.grammar.noproxy import parse_no_proxy
from loadgate.api.grammar.source import parse_source
from loadgate.api.units import ByteRate, Ratio

from .auth import check_target_auth, check_target_headers
from .findings import Findings, Node
from .messages import check_base_url, check_fixed, check_headers, check_line
from .scope import Scope

_SOURCES = ("inline", "csv", "json")


def check_target(findings: Findings, target: Node, scope: Scope) -> None:
    """Find what is wrong with the target."""
    check_base_url(findings, target["url"])
    check_headers(findings, target["headers"])
    scope.check(findings, target["headers"])
    check_line(findings, target["host"])
    check_fixed(findings, target["host"])
    tls = target["tls"]
    if ("cert" in tls) != ("key" in tls):
        given, lacking = ("cert", "key") if "cert" in tls else ("key", "cert")
        findings.add(tls, f"has {given} without {lacking}", "a client certificate needs both")
    _check_ca(findings, tls["ca"])
    _check_connection(findings, target["connection"], proxied=target["proxy"].given)
    if target["proxy"].given:
        _check_proxy(findings, target["proxy"])
    check_target_auth(findings, target["auth"], scope)
    check_target_headers(findings, target)
    _check_sample(findings, target["tracing"]["sample"])
    _check_sharing(findings, target)


def _check_connection(findings: Findings, connection: Node, *, proxied: bool) -> None:
    """Find sources that are none, and a unix socket where something else says what is connected to."""
    findings.one_of(connection, ("unixSocket", "sourceAddresses"), required=False)
    for source in connection["sourceAddresses"].each():
        if source.text is not None:
            findings.parsed(source, parse_source)
    for field in ("uploadRate", "downloadRate"):
        _check_rate(findings, connection[field])
    if proxied and "unixSocket" in connection:
        findings.add(connection["unixSocket"], "can't be reached by a proxy", "keep one of proxy, unixSocket")


def _check_rate(findings: Findings, rate: Node) -> None:
    """Find a rate at which nothing goes."""
    try:
        amount = ByteRate(str(rate.value)).per_second
    except ValueError:
        return  # its form is the model's to demand
    if amount < 1:
        findings.add(rate, "must be at least 1 byte a second", "128Ki, or leave it out for as fast as it goes")


def _check_ca(findings: Findings, ca: Node) -> None:
    if ca.given:
        findings.one_of(ca, ("configMapKeyRef", "secretKeyRef"))


def _check_proxy(findings: Findings, proxy: Node) -> None:
    """Find what is wrong with a proxy beyond its form."""
    check_base_url(findings, proxy["url"])
    _check_ca(findings, proxy["ca"])
    if "ca" in proxy and (proxy["url"].text or "").lower().startswith("http:"):
        findings.add(proxy["ca"], "is for a proxy that speaks TLS", "https://HOST:PORT as its url, or no ca")
    for entry in proxy["noProxy"].each():
        if entry.text is not None:
            findings.parsed(entry, parse_no_proxy)


def _check_sample(findings: Findings, sample: Node) -> None:
    """Find a share that is nothing."""
    try:
        share = Ratio(str(sample.value)).value
    except ValueError:
        return  # its form is the model's to demand
    if not share:
        findings.add(sample, "must be more than 0", "1% of requests, or leave `tracing` out for none")


def _check_sharing(findings: Findings, target: Node) -> None:
    """Who shares a connection can't end it for the others after each iteration; streams are what only HTTP/2 has."""
    share, pooled = target["connection"]["share"], target["connection"]["maxConnections"]
    reuse = target["connection"]["reuse"].text or "always"
    if pooled.given and target["protocol"].given and target["protocol"].text != "HTTP/1.1":
        findings.add(pooled, "needs `protocol: HTTP/1.1`", "with HTTP/2, `share` says how many users a connection has")
    if pooled.given and reuse != "always":
        findings.add(pooled, f"can't go with `reuse: {reuse}`", "a pool's connections are kept; leave reuse out")
    if (share.number or 1) <= 1:
        return
    if target["protocol"].text != "HTTP/2":
        findings.add(share, "needs `protocol: HTTP/2`", "other protocols carry one request at a time on a connection")
    if reuse != "always":
        findings.add(share, f"can't go with `reuse: {reuse}`", "a shared connection is kept; leave reuse out")


def check_secrets(findings: Findings, secrets: Node) -> None:
    """Find two secrets that would reach the runners under one name."""
    seen = dict[str, str]()
    for name, node in secrets.entries():
        variable = name.upper().replace("-", "_")
        if variable in seen:
            findings.add(
                node, f"can't be told from {seen[variable]!r}", "names must differ by more than case and `-`/`_`"
            )
        seen.setdefault(variable, name)


def check_data(findings: Findings, data: Node) -> None:
    """Find data sources without rows, or whose rows have different columns."""
    for _, source in data.entries():
        if not isinstance(source.value, dict):
            continue
        findings.one_of(source, _SOURCES)
        if source["inline"].value == []:
            findings.add(source["inline"], "has no rows", "give at least one")
        rows = [row for row in source["inline"].each() if isinstance(row.value, dict)]
        for row in rows[1:]:
            if set(row.value) != set(rows[0].value):
                findings.add(row, "has other columns than the first row", f"columns: {', '.join(rows[0].value)}")


def columns(data: Node) -> dict[str, frozenset[str] | None]:
    """The columns of each data source; None where they stand in a file or can't be read."""
    return {name: _columns(source) for name, source in data.entries()}


def _columns(source: Node) -> frozenset[str] | None:
    rows = [row.value for row in source["inline"].each() if isinstance(row.value, dict)]
    return frozenset(rows[0]) if rows else None
