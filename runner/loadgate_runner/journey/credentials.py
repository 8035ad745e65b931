"""The target's `auth` made ready: its texts resolved, where its token comes from, and what signs requests."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from loadgate_runner.http.digest import Digest
from loadgate_runner.http.oauth2 import Grant, TokenEndpoint
from loadgate_runner.http.sigv4 import Credentials, SigV4
from loadgate_runner.http.tokens import Tokens

from . import secrets
from .scope import Scope
from .target import load, place
from .templates import fold, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgate.api.auth import AwsSigV4, OAuth2
    from loadgate.plan.document import Plan
    from loadgate_runner.http import Network, Origin, Signer

    from .context import Context


def tokens_of(plan: Plan, context: Context, network: Network) -> Tokens | None:
    """Return what will get and keep the target's token; None where it needs none. Raises JourneyError.

    The token endpoint is reached as the target is (`proxy`), and its certificate judged so (`tls.verify`, `tls.ca`).
    """
    if plan.target.auth is None or plan.target.auth.oauth2 is None:
        return None
    known = secrets.load(plan.secrets, context.environ)
    scope = Scope(context.run, context.runner_index, "", known)
    endpoint = TokenEndpoint(network, load(plan.target, context.files, context.environ).options)
    grant = grant_of(plan.target.auth.oauth2, scope)
    chance = Random(f"{context.run}/{context.seed}/tokens")
    return Tokens(grant, endpoint.ask, chance, lambda message: context.log(known.redact(message)))


def grant_of(oauth2: OAuth2, scope: Scope) -> Grant:
    """Return what a token is asked for with."""
    return Grant(
        url=oauth2.token_url,
        client=_text(oauth2.client_id, scope),
        secret=_text(oauth2.client_secret, scope),
        in_body=oauth2.client_auth == "body",
        refresh=_text(oauth2.refresh_token, scope),
        scopes=tuple(oauth2.scopes),
        audience=_text(oauth2.audience, scope),
    )


def signer_of(plan: Plan, context: Context, now: Callable[[], float]) -> Signer | None:
    """Return what signs requests to the target; None where nothing does. Raises JourneyError.

    `now` gives seconds since 1970, for signatures that hold for a time.
    """
    auth = plan.target.auth
    if auth is None or auth.oauth2 is not None:
        return None
    scope = Scope(context.run, context.runner_index, "", secrets.load(plan.secrets, context.environ))
    origin = place(plan.target.url)[0]
    if auth.digest is not None:
        chance = Random(f"{context.run}/{context.seed}/digest")
        return Digest(origin, _text(auth.digest.username, scope), _text(auth.digest.password, scope), chance)
    return None if auth.aws_sig_v4 is None else _sigv4(auth.aws_sig_v4, origin, scope, now)


def _sigv4(aws: AwsSigV4, origin: Origin, scope: Scope, now: Callable[[], float]) -> SigV4:
    return SigV4(
        origin,
        Credentials(*(_text(text, scope) for text in (aws.access_key_id, aws.secret_access_key, aws.session_token))),
        region=aws.region,
        service=aws.service,
        now=now,
        unsigned_body=aws.payload == "unsigned",
    )


def _text(template: str | None, scope: Scope) -> str:
    return "".join(part for part in fold(parse(template or ""), scope) if isinstance(part, str))
