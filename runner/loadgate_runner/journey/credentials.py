"""The target's `auth` made ready: its texts resolved, and where its token comes from."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from loadgate_runner.http.oauth2 import Grant, TokenEndpoint
from loadgate_runner.http.tokens import Tokens

from . import secrets
from .scope import Scope
from .target import load
from .templates import fold, parse

if TYPE_CHECKING:
    from loadgate.api.auth import OAuth2
    from loadgate.plan.document import Plan
    from loadgate_runner.http import Network

    from .context import Context


def tokens_of(plan: Plan, context: Context, network: Network) -> Tokens | None:
    """Return what will get and keep the target's token; None where it needs none. Raises JourneyError.

    The token endpoint is reached as the target is (`proxy`), and its certificate judged so (`tls.verify`, `tls.ca`).
    """
    if plan.target.auth is None:
        return None
    known = secrets.load(plan.secrets, context.environ)
    scope = Scope(context.run, context.runner_index, "", known)
    endpoint = TokenEndpoint(network, load(plan.target, context.files, context.environ).options)
    grant = grant_of(plan.target.auth.oauth2, scope)
    chance = Random(f"{context.run}/{context.seed}/tokens")
    return Tokens(grant, endpoint.ask, chance, lambda message: context.log(known.redact(message)))


def grant_of(oauth2: OAuth2, scope: Scope) -> Grant:
    """Return what a token is asked for with."""

    def text(template: str | None) -> str:
        return "".join(part for part in fold(parse(template or ""), scope) if isinstance(part, str))

    return Grant(
        url=oauth2.token_url,
        client=text(oauth2.client_id),
        secret=text(oauth2.client_secret),
        in_body=oauth2.client_auth == "body",
        refresh=text(oauth2.refresh_token),
        scopes=tuple(oauth2.scopes),
        audience=text(oauth2.audience),
    )
