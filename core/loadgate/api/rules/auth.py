"""What `target.auth` must mean: texts that are known before any load, and secrets that aren't written out."""

from typing import Final

from loadgate.api.auth import HASHED_PAYLOADS, TARGET_AUTHS, UNSIGNED_PAYLOADS
from loadgate.api.grammar import template

from .findings import Findings, Node
from .messages import check_line, check_whole_url
from .scope import Scope

_REFERENCE: Final = "write ${secret.NAME}, and declare NAME in spec.secrets"
_ONE_OF_BOTH: Final = "keep one of the two"
_SHOWN: Final = 40


def check_target_auth(findings: Findings, auth: Node, scope: Scope) -> None:
    """Find what is wrong with how requests to the target say who they are."""
    if auth.given:
        findings.one_of(auth, TARGET_AUTHS)
    _check_oauth2(findings, auth["oauth2"], scope)
    _check_sigv4(findings, auth["awsSigV4"], scope)
    _check_known(findings, auth["digest"]["username"], scope)
    _check_secret(findings, auth["digest"]["password"], scope)
    if ":" in (auth["digest"]["username"].text or ""):
        findings.add(auth["digest"]["username"], "must not hold a colon", "it is where a name ends (RFC 7616, 3.4.2)")


def check_target_headers(findings: Findings, target: Node) -> None:
    """Find a header by which no request would carry what the target's `auth` makes."""
    kinds = [kind for kind in TARGET_AUTHS if kind in target["auth"]]
    for name, value in target["headers"].entries():
        if kinds and name.lower() == "authorization":
            findings.add(value, f"would stand in every request in place of what auth.{kinds[0]} sends", _ONE_OF_BOTH)


def signature_headers(aws: Node) -> frozenset[str]:
    """The names in lower case of the headers that awsSigV4 brings, beside Authorization."""
    names = {"x-amz-date"}
    if aws["sessionToken"].given:
        names.add("x-amz-security-token")
    if aws["payload"].value == "unsigned" or aws["service"].text in HASHED_PAYLOADS:
        names.add("x-amz-content-sha256")
    return frozenset(names)


def _check_sigv4(findings: Findings, aws: Node, scope: Scope) -> None:
    _check_known(findings, aws["accessKeyId"], scope)
    for field in ("secretAccessKey", "sessionToken"):
        _check_secret(findings, aws[field], scope)
    service = aws["service"].text
    if aws["payload"].value == "unsigned" and service is not None and service not in UNSIGNED_PAYLOADS:
        findings.add(aws["payload"], f"{service[:_SHOWN]!r} wants bodies to be signed", "payload: signed")


def _check_oauth2(findings: Findings, oauth2: Node, scope: Scope) -> None:
    check_whole_url(findings, oauth2["tokenUrl"])
    for field in ("clientId", "audience"):
        _check_known(findings, oauth2[field], scope)
    for field in ("clientSecret", "refreshToken"):
        _check_secret(findings, oauth2[field], scope)
    if not isinstance(oauth2.value, dict):
        return
    refreshes = oauth2["grant"].value == "refresh_token"
    if refreshes and "refreshToken" not in oauth2:
        findings.add(oauth2, "needs a refreshToken for grant: refresh_token", "refreshToken: ${secret.NAME}")
    elif not refreshes and "refreshToken" in oauth2:
        findings.add(oauth2["refreshToken"], "goes with grant: refresh_token only", "grant: refresh_token")
    elif not refreshes and "clientSecret" not in oauth2:
        findings.add(oauth2, "needs a clientSecret", "clientSecret: ${secret.NAME}")


def _check_known(findings: Findings, node: Node, scope: Scope) -> None:
    """Find a text that isn't the same for all of a run's requests."""
    check_line(findings, node)
    parsed = findings.parsed(node, template.parse) if node.text is not None else None
    if parsed is None:
        return
    if parsed.functions() or any(path[0] != "secret" for path in parsed.names()):
        findings.add(node, "may hold ${secret.NAME} only", "it is one for all virtual users and requests")
        return
    for path in sorted(parsed.names()):
        scope.check_name(findings, node, path)


def _check_secret(findings: Findings, node: Node, scope: Scope) -> None:
    """Find a secret that stands in the manifest itself."""
    _check_known(findings, node, scope)
    if node.text is not None and "${secret." not in node.text:
        findings.add(node, "must not be written out", _REFERENCE)
