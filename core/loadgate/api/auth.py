"""How requests say who they are: of one step, and of all that go to the target."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Model
from .cel import exactly_one, rule, validated
from .names import AwsName, OAuthScope, ShortText, Text, Url

STEP_AUTHS = ("basic", "bearer", "none")
"""What a step's `auth` can be."""

TARGET_AUTHS = ("oauth2", "awsSigV4", "digest")
"""What a target's `auth` can be."""

UNSIGNED_PAYLOADS = frozenset({"s3", "s3express", "s3-object-lambda", "s3-outposts", "vpc-lattice-svcs"})
"""Services of AWS that take a signature which isn't over the body."""

HASHED_PAYLOADS = frozenset(
    {"s3", "s3express", "s3-object-lambda", "s3-outposts", "aoss", "glacier", "vpc-lattice-svcs"}
)
"""Services of AWS that want the body's hash in a header of its own."""


class Basic(Model):
    """A user's name and password, as RFC 7617 sends them."""

    username: ShortText
    """The user's name; may hold `${...}`."""
    password: ShortText
    """The password: `${secret.NAME}`, unless it is worth nothing."""


class Auth(Model):
    """How a request says who it is."""

    model_config = validated(exactly_one(*STEP_AUTHS))

    basic: Basic | None = None
    """Basic authentication."""
    bearer: Text | None = None
    """A bearer token; may hold `${...}`."""
    none: Literal[True] | None = None
    """Not at all: the request goes without the target's `auth`."""


class OAuth2(Model):
    """Where a bearer token comes from (RFC 6749). Texts may hold `${secret.NAME}`."""

    model_config = validated(
        rule(
            "has(self.refreshToken) == (has(self.grant) && self.grant == 'refresh_token')",
            "refreshToken and grant: refresh_token go together",
        ),
        rule(
            "has(self.clientSecret) || has(self.refreshToken)",
            "grant: client_credentials needs a clientSecret",
        ),
    )

    token_url: Url
    """The authorisation server's token endpoint."""
    grant: Literal["client_credentials", "refresh_token"] = "client_credentials"
    """What is given for a token: the client's own credentials (4.4), or a refresh token (6)."""
    client_id: Text
    """The client's id."""
    client_secret: Text | None = None
    """The client's secret: `${secret.NAME}`. A public client, which has only a refresh token, has none."""
    client_auth: Literal["header", "body"] = "header"
    """Where the id and the secret stand: in `Authorization: Basic`, which every server takes, or in the form."""
    refresh_token: Text | None = None
    """The first refresh token: `${secret.NAME}`. One that comes with a new token takes its place."""
    scopes: Annotated[list[OAuthScope], Field(max_length=64)] = Field(default=[])
    """The scopes that are asked for."""
    audience: ShortText | None = None
    """The API that the token is for, where the server asks for it."""


class AwsSigV4(Model):
    """Whose signature requests carry, and for which service of AWS. Texts may hold `${secret.NAME}`."""

    model_config = validated(
        rule(
            f"!has(self.payload) || self.payload == 'signed' || self.service in {sorted(UNSIGNED_PAYLOADS)}",
            f"payload: unsigned is taken by {', '.join(sorted(UNSIGNED_PAYLOADS))} only",
        ),
    )

    region: AwsName
    """The service's region, like `eu-central-1`."""
    service: AwsName
    """The service's name in signatures: `execute-api`, `lambda`, `s3`, `es`, and so on."""
    access_key_id: Text
    """The access key's id."""
    secret_access_key: Text
    """The secret of the access key: `${secret.NAME}`."""
    session_token: Text | None = None
    """The session's token, which temporary credentials have: `${secret.NAME}`."""
    payload: Literal["signed", "unsigned"] = "signed"
    """Whether the body is signed too. Hashing a large one costs CPU, and S3 takes requests without that over https."""


class Digest(Model):
    """A user's name and password, of which only hashes are sent (RFC 7616). Texts may hold `${secret.NAME}`."""

    username: Annotated[ShortText, Field(min_length=1)]
    """The user's name."""
    password: Text
    """The password: `${secret.NAME}`."""


class TargetAuth(Model):
    """How requests to the target say who they are."""

    model_config = validated(exactly_one(*TARGET_AUTHS))

    oauth2: OAuth2 | None = None
    """A bearer token that is fetched before the load, shared by all virtual users, and renewed ahead of its expiry."""
    aws_sig_v4: AwsSigV4 | None = None
    """AWS's Signature Version 4: each request is signed anew."""
    digest: Digest | None = None
    """Digest authentication: what the target asks for is kept, shared by all virtual users, and answered."""
