"""Where the load goes, and how long it may take to answer."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from .auth import TargetAuth
from .base import Model
from .cel import at_most_one, exactly_one, rule, validated
from .names import PROXY_PATTERN, Headers, MountPath, ShortText, Url
from .references import KeyRef, SecretSource
from .units import ByteRate, Duration, Ratio

ProxyUrl = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=PROXY_PATTERN)]


class Timeouts(Model):
    """How long each part of a request may take. A duration in place of the object is its `total`."""

    model_config = ConfigDict(
        json_schema_extra={"x-loadgate-or-text": {"words": "a duration like 30s", "schema": Duration.schema}}
    )

    connect: Duration | None = None
    """To connect, name look-up included. Bounded by `total` only when left out."""
    tls: Duration | None = None
    """For the TLS handshake. Bounded by `total` only when left out."""
    first_byte: Duration | None = None
    """From the request's last byte to the response's first. Bounded by `total` only when left out."""
    total: Duration = Duration("30s")
    """For the whole request, redirects included."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"total": value} if isinstance(value, str) else value


class CaSource(Model):
    """Where a certificate authority's certificates come from."""

    model_config = validated(exactly_one("configMapKeyRef", "secretKeyRef"))

    config_map_key_ref: KeyRef | None = None
    """A key of a ConfigMap that holds PEM certificates."""
    secret_key_ref: KeyRef | None = None
    """A key of a Secret that holds PEM certificates."""


class TLS(Model):
    """How https is spoken with the target."""

    model_config = validated(rule("has(self.cert) == has(self.key)", "cert and key go together"))

    verify: bool = True
    """Whether the target's certificate must be valid. If not, anyone in between can read what is sent."""
    ca: CaSource | None = None
    """Certificates to trust in place of the system's."""
    cert: SecretSource | None = None
    """The client's certificate (PEM, with its chain)."""
    key: SecretSource | None = None
    """The client certificate's private key (PEM, not encrypted)."""
    server_name: ShortText | None = None
    """The name that the certificate must be for, sent as SNI; the URL's host when left out."""


class Connection(Model):
    """How connections are made and kept. Each virtual user has its own to each origin, unless they share them."""

    model_config = validated(
        at_most_one("unixSocket", "sourceAddresses"),
        # As it stands in the definition, the default is looked at before those of its fields are in it.
        rule(
            "!has(self.share) || self.share == 1 || self.reuse == 'always'",
            "with reuse iteration or never, share must be 1",
        ),
        rule(
            "!has(self.maxConnections) || self.reuse == 'always'",
            "with reuse iteration or never, maxConnections must be left out",
        ),
    )

    reuse: Literal["always", "iteration", "never"] = "always"
    """Whether a connection carries all requests, those of one iteration, or one request only."""
    max_requests: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Requests on one connection; it is closed behind the last of them."""
    max_age: Duration | None = None
    """The first answer after this time is the connection's last."""
    idle_timeout: Duration | None = None
    """A connection without a request for this long is closed."""
    unix_socket: Annotated[MountPath, StringConstraints(max_length=107)] | None = None
    """A unix socket that stands for the target's host and port, such as a sidecar's: its path in the runner."""
    source_addresses: Annotated[list[ShortText], Field(min_length=1, max_length=64)] | None = None
    """Where connections come from, each from the next: addresses of the runner, or networks that are its own."""
    upload_rate: ByteRate | None = None
    """How many bytes a second each connection sends at most, before TLS; as many as it can when left out."""
    download_rate: ByteRate | None = None
    """How many bytes a second each connection receives at most, before TLS; as many as it can when left out."""
    share: Annotated[int, Field(ge=1, le=1000)] = 1
    """Virtual users of one load process that share a connection, each on a stream of its own. Only for HTTP/2."""
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Connections to one origin, of all runners; virtual users take a free one for each request. Only for HTTP/1.1."""


class Dns(Model):
    """How names become addresses. The system's resolver tells no time to live, so that it is set here."""

    ttl: Duration = Duration("0s")
    """How long a runner's process keeps an answer; after it, the next new connection asks again. 0s: each one asks."""
    select: Literal["roundRobin", "random", "first"] = "roundRobin"
    """Which of several addresses a new connection tries first: each in its turn, any, or the resolver's first."""
    policy: Literal["any", "preferIPv4", "preferIPv6", "onlyIPv4", "onlyIPv6"] = "any"
    """Which addresses are tried, and which before others; `any` leaves families in the resolver's order."""


class ProxyAuth(Model):
    """Who a proxy takes the runners for, by Basic authentication."""

    username: SecretSource
    """The user's name."""
    password: SecretSource
    """The password."""


class Proxy(Model):
    """A proxy, by which everything of the target is reached: by CONNECT for https and WebSockets, else asked itself."""

    url: ProxyUrl
    """Where the proxy is, without a path: `http://proxy:3128`; `https` is spoken with TLS to the proxy itself."""
    no_proxy: Annotated[list[ShortText], Field(max_length=64)] = Field(default=[])
    """Hosts that are reached without it, redirects to them too: `shop.svc` (and below), `.svc`, `10.0.0.0/8`."""
    auth: ProxyAuth | None = None
    """What the proxy is told of who asks. The target never sees it."""
    ca: CaSource | None = None
    """Certificates to trust in place of the system's, for an https proxy."""


class Tracing(Model):
    """Trace ids on requests (W3C Trace Context), so that what is slow or fails here can be looked up at the target."""

    sample: Ratio
    """Which share of requests carries a `traceparent` with the flag `sampled`. The others carry none."""


class Target(Model):
    """Where the load goes, and what holds for every request."""

    model_config = validated(
        rule(
            "!has(self.proxy) || !has(self.connection) || !has(self.connection.unixSocket)",
            "a proxy leads to no unix socket",
        ),
        rule(
            "!has(self.connection) || !has(self.connection.share) || self.connection.share == 1"
            " || self.protocol == 'HTTP/2'",
            "connection.share needs the protocol HTTP/2",
        ),
        rule(
            "!has(self.connection) || !has(self.connection.maxConnections) || self.protocol == 'HTTP/1.1'",
            "connection.maxConnections needs the protocol HTTP/1.1",
        ),
    )

    url: Url
    """The base that every relative request URL is appended to; http or https."""
    timeout: Timeouts = Timeouts()
    """How long a request may take: a duration, or an object with one for each part."""
    protocol: Literal["HTTP/1.1", "HTTP/2", "auto"] = "HTTP/1.1"
    """What is spoken. HTTP/2: with the target's own origin and nothing else, by prior knowledge where it is http.
    auto, and HTTP/2 with other origins: what the TLS handshake agrees on, and HTTP/1.1 where it is http."""
    host: ShortText | None = None
    """The `Host` header, where it isn't the URL's host."""
    tls: TLS = TLS()
    """How https is spoken."""
    connection: Connection = Connection()
    """How connections are made, and how long they are kept."""
    dns: Dns = Dns()
    """How names become addresses."""
    proxy: Proxy | None = None
    """A proxy to go through. The environment's `HTTP_PROXY` and its like count for nothing."""
    headers: Headers = Field(default={})
    """Headers of every request; a request's own header of the same name wins. Values may hold `${...}`."""
    max_redirects: Annotated[int, Field(ge=0, le=50)] = 10
    """How many redirects a request follows; 0 takes a redirect as the answer."""
    auth: TargetAuth | None = None
    """How requests to it say who they are, unless a step has an `auth` or an `Authorization` of its own."""
    tracing: Tracing | None = None
    """Trace ids on some of the requests; on none when left out."""
