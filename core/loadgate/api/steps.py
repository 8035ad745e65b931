"""A journey's steps as a manifest writes them; plan and runner take these models as they are."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, StringConstraints, model_serializer

from .auth import Auth
from .base import Model, kept_null
from .cel import at_least_one, at_most_one, exactly_one, rule, validated
from .grammar import matcher
from .grammar.status import GRPC_OK, describe_status
from .names import Body, GRPCMethod, Headers, ShortText, Tags, Text, VariableName
from .references import ConfigMapSource, FileSource
from .scalars import OPEN_VALUE, GivenMatcher, MatcherValue, OpenObject, QueryValue, StatusValue, ThinkText
from .target import Timeouts
from .units import Duration

MAX_DEPTH = 5
"""How deep steps may stand inside one another."""
MAX_STEPS = 500
"""How many steps a test may have, nested ones included."""
MAX_TIMES = 1_000_000
"""How often a step may be repeated."""

EXCHANGES = ("send", "sendJson", "sendBase64", "expect", "think")
_BASE64 = r"^[A-Za-z0-9+/]*={0,2}$"
Subprotocol = Annotated[str, StringConstraints(pattern=r"^[-!#$%&'*+.^_`|~0-9A-Za-z]+$", max_length=256)]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BODIES = ("json", "form", "multipart", "text", "file")
CALLS = ("request", "graphql", "sse", "websocket", "grpc")
"""The kinds of step that speak with the target; `check` and `extract` go with these."""
KINDS = (*CALLS, "think", "group", "repeat", "while", "if", "choice")


class Part(Model):
    """One part of a multipart form."""

    model_config = validated(exactly_one("value", "file"))

    name: ShortText
    """The form field's name."""
    value: Body | None = None
    """The field's text; may hold `${...}`."""
    file: FileSource | None = None
    """A file's contents. Large ones are read as they are sent."""
    filename: ShortText | None = None
    """The file name to send; the file's own when left out."""
    content_type: ShortText | None = None
    """The part's content type; guessed from the file name when left out."""


Parameters = Annotated[dict[ShortText, QueryValue], Field(max_length=64)]


class Call(Model):
    """What all steps say that speak with the target, in whichever protocol."""

    name: ShortText | None = None
    """What it is called in thresholds, budgets and reports: `METHOD url` when left out. Set it where the URL varies."""
    url: Text
    """A path that is appended to the target's URL, or a whole URL; may hold `${...}`."""
    headers: Headers = Field(default={})
    """Headers; values may hold `${...}`."""
    auth: Auth | None = None
    """How it says who it is; as the target's `auth` has it when left out."""
    timeout: Timeouts | None = None
    """How long it may take; the target's `timeout` when left out."""
    host: ShortText | None = None
    """The `Host` header (gRPC's `:authority`), where it isn't the URL's host."""
    tags: Tags = Field(default={})
    """Tags of its samples, for thresholds such as `http_req_duration{area:shop}`."""

    @property
    def http_method(self) -> str:
        """The method that it is sent with."""
        return "GET"

    @property
    def parameters(self) -> dict[str, Any]:
        """What is put behind the URL."""
        return {}

    @property
    def http_url(self) -> str:
        """Where its request goes, as an HTTP URL."""
        return self.url

    @property
    def succeeds_with(self) -> frozenset[int] | None:
        """The statuses that are no failure where no check names any; None: 200 to 399."""
        return None

    @property
    def compresses(self) -> bool:
        """Whether it asks for a compressed response."""
        return True

    @property
    def patience(self) -> float:
        """For how many seconds its body waits to be asked for; 0: it isn't."""
        return 0

    @property
    def label(self) -> str:
        """What its samples are called: its name, or its method and URL as written, without the query."""
        return request_label(self.name, self.http_method, self.url)


class Request(Call):
    """One HTTP request."""

    model_config = validated(at_most_one("multipart", "text", "file"))

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    """The HTTP method."""
    query: Parameters = Field(default={})
    """Query parameters, encoded for you: a value, or a list of values for one name. Texts may hold `${...}`."""
    json_: Any = Field(default=None, json_schema_extra=OPEN_VALUE)
    """A body that is sent as JSON; any text in it may hold `${...}`."""
    form: Parameters | None = None
    """A body that is sent as an HTML form (`application/x-www-form-urlencoded`); texts may hold `${...}`."""
    multipart: Annotated[list[Part], Field(min_length=1, max_length=32)] | None = None
    """A body that is sent as `multipart/form-data`."""
    text: Body | None = None
    """A body that is sent as it is, as UTF-8; may hold `${...}`."""
    file: FileSource | None = None
    """A body that is a file's contents, byte by byte. Large ones are read as they are sent."""
    expect_continue: Duration | None = None
    """Send `Expect: 100-continue`, and the body only once the target asks for it, or hasn't answered for this long."""
    max_redirects: Annotated[int, Field(ge=0, le=50)] | None = None
    """How many redirects to follow; the target's `maxRedirects` when left out."""
    compressed: bool = True
    """Whether to ask for a compressed response."""

    @model_serializer(mode="wrap")
    def _keep_null(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return kept_null(self, serialize(self), "json_")

    @property
    def http_method(self) -> str:
        """The method that it is sent with."""
        return self.method

    @property
    def parameters(self) -> dict[str, Any]:
        """What is put behind the URL."""
        return self.query

    @property
    def compresses(self) -> bool:
        """Whether it asks for a compressed response."""
        return self.compressed

    @property
    def patience(self) -> float:
        """For how many seconds its body waits to be asked for; 0: it isn't."""
        return self.expect_continue.seconds if self.expect_continue else 0


class GraphQL(Call):
    """One GraphQL operation over HTTP: a query or a mutation, in a POST of JSON."""

    model_config = validated(exactly_one("query", "file"))

    query: Annotated[Body, Field(min_length=1)] | None = None
    """The GraphQL document, the same each time: what varies goes into `variables`."""
    file: ConfigMapSource | None = None
    """A file that holds the document."""
    operation_name: VariableName | None = None
    """Which operation of the document to do. Its samples are called like it, unless there is a `name`."""
    variables: OpenObject = Field(default={})
    """The operation's variables; any text in them may hold `${...}`."""
    errors: Literal["fail", "allow"] = "fail"
    """Whether an answer with `errors` is a failed request (of the kind `graphql`), or one like any other."""

    @property
    def http_method(self) -> str:
        """The method that it is sent with."""
        return "POST"

    @property
    def label(self) -> str:
        """What its samples are called: its name, its operation's, or `POST` and its URL."""
        name = self.name or operation_name(self.operation_name, self.query)
        return request_label(name, self.http_method, self.url)


_OPERATION = re.compile(r"(?m)^\s*(?:query|mutation)\s+([_A-Za-z][_0-9A-Za-z]{0,255})")


def operation_name(given: str | None, document: str | None) -> str | None:
    """The operation that is done, as far as it has a name: the one that is asked for, or the document's only one."""
    named = _OPERATION.findall(document or "")
    return given or (named[0] if len(named) == 1 else None)


_BEFORE_QUERY = re.compile(r"(?:\$\{[^}]*\}|[^?])*")


def request_label(name: str | None, method: str, url: str) -> str:
    """What a request is called: its name, or its method and URL as written, without the query."""
    found = _BEFORE_QUERY.match(url)
    return name or f"{method} {found[0] if found else url}"


class AwaitedEvent(Model):
    """What a stream is listened to for. All parts that are given have to hold of one event."""

    event: MatcherValue | None = None
    """The event's type; `message` is what it has without one."""
    data: MatcherValue | None = None
    """The event's data: equal to it, or `*text` for a part of it, or `~regex`."""
    json_: Annotated[dict[ShortText, MatcherValue], Field(max_length=64)] = Field(default={})
    """By JSONPath (RFC 9535) into the data, what must be found there."""
    count: Annotated[int, Field(ge=1, le=MAX_TIMES)] = 1
    """How many such events it takes."""


class SSE(Call):
    """A stream of server-sent events, listened to until something comes, or for some time."""

    model_config = validated(at_least_one("until", "for"))

    query: Parameters = Field(default={})
    """Query parameters, encoded for you: a value, or a list of values for one name. Texts may hold `${...}`."""
    until: AwaitedEvent | None = None
    """The event that ends the step. Where it doesn't come, the step has failed."""
    for_: Duration | None = None
    """How long to listen, from the answer's head; with `until`, at most so long, and up to `timeout` when left out."""

    @property
    def parameters(self) -> dict[str, Any]:
        """What is put behind the URL."""
        return self.query

    @property
    def compresses(self) -> bool:
        """Whether it asks for a compressed response."""
        return False


PROTOC = "protoc --include_imports -o FILE.binpb FILE.proto"
"""What makes a protoset of .proto files; `buf build -o FILE.binpb` does too."""


MOST_PROTOS = 64
"""How many `.proto` files a step may give."""
Protos = Annotated[dict[ShortText, ConfigMapSource], Field(min_length=1, max_length=MOST_PROTOS)]
"""By paths of the form PROTO_PATH, which no rule of the CRD says: it would cost the API server too much."""


class AwaitedMessage(Model):
    """What a stream of replies is read for."""

    json_: Annotated[dict[ShortText, MatcherValue], Field(max_length=64)] = Field(default={})
    """By JSONPath (RFC 9535) into the reply as JSON, what must be found there; all of it. Without any: any reply."""
    count: Annotated[int, Field(ge=1, le=MAX_TIMES)] = 1
    """How many such replies it takes."""


class GRPC(Call):
    """One gRPC call: a message for a message, or a stream of them on either side."""

    model_config = validated(at_most_one("message", "messages"), at_most_one("protoset", "protos"))

    url: Annotated[str, StringConstraints(max_length=2048)] = ""
    """Where the server is: `http://HOST:PORT` (or `grpc`), with TLS `https` (or `grpcs`). The target when left out."""
    headers: Headers = Field(default={}, alias="metadata")
    """Metadata; values may hold `${...}`. What a name that ends in `-bin` has is base64."""
    method: GRPCMethod
    """What is called: `package.Service/Method`."""
    message: OpenObject = Field(default={})
    """The message, in protobuf's JSON; any text in it may hold `${...}`. Without it and `messages`, an empty one."""
    messages: Annotated[list[OpenObject], Field(min_length=1, max_length=100)] | None = None
    """The messages of a stream that the client sends, in their order."""
    times: Annotated[int, Field(ge=1, le=MAX_TIMES)] = 1
    """How often the messages of such a stream are sent over."""
    every: Duration | None = None
    """The pause between two messages of such a stream; none when left out."""
    until: AwaitedMessage | None = None
    """The reply that ends a stream from the server. Where it doesn't come, the step has failed."""
    for_: Duration | None = None
    """How long to read a stream from the server; with `until`, at most so long. To its end when both are left out."""
    protoset: ConfigMapSource | None = None
    """A file of descriptors (`protoc --include_imports -o`, `buf build -o`); by reflection when left out."""
    protos: Protos | None = None
    """The `.proto` files themselves, in place of a `protoset`: by the path under which others import it, each file."""

    @property
    def http_method(self) -> str:
        """The method that it is sent with."""
        return "POST"

    @property
    def http_url(self) -> str:
        """Where its request goes, as an HTTP URL; empty for the target."""
        return grpc_url(self.url)

    @property
    def succeeds_with(self) -> frozenset[int] | None:
        """The status `OK`."""
        return frozenset({GRPC_OK})

    @property
    def label(self) -> str:
        """What its samples are called: its name, or what is called."""
        return self.name or self.method


def grpc_url(url: str) -> str:
    """The HTTP URL of a gRPC server: `grpc` is http and `grpcs` https."""
    return re.sub(r"^grpc(s?)://", r"http\1://", url, flags=re.IGNORECASE)


class Check(Model):
    """What must hold of a response. Each part counts as a check of its own; the journey goes on whatever they say."""

    status: StatusValue | None = None
    """The status: a number, a class (`2xx`), a range (`200..204`), a name of gRPC's (`OK`), or a list. Others fail."""
    duration: MatcherValue | None = None
    """The time that the request took, such as `<500ms`."""
    size: MatcherValue | None = None
    """The body's size in bytes, such as `<10000`."""
    body: MatcherValue | None = None
    """The body's text: equal to it, or `*text` for a part of it, or `~regex`."""
    headers: Annotated[dict[ShortText, MatcherValue], Field(max_length=32)] = Field(default={})
    """By header, what its value must be."""
    trailers: Annotated[dict[ShortText, MatcherValue], Field(max_length=32)] = Field(default={})
    """By trailer (a field behind the body), what its value must be."""
    cookies: Annotated[dict[ShortText, MatcherValue], Field(max_length=32)] = Field(default={})
    """By cookie that the response sets, what its value must be."""
    json_: Annotated[dict[ShortText, MatcherValue], Field(max_length=64)] = Field(default={})
    """By JSONPath (RFC 9535), what must be found there: a value, `exists`, `absent`, `>=3`, `~regex`, `*text`."""


class Extract(Model):
    """Where a variable's value comes from."""

    model_config = validated(exactly_one("json", "header", "trailer", "regex", "cookie"))

    json_: ShortText | None = None
    """A JSONPath (RFC 9535) into the body."""
    header: ShortText | None = None
    """A response header."""
    trailer: ShortText | None = None
    """A trailer: a field behind the response's body."""
    regex: Annotated[str, StringConstraints(max_length=1000)] | None = None
    """A regular expression (RE2) over the body."""
    cookie: ShortText | None = None
    """A cookie that the response sets."""
    pick: Literal["first", "last", "random", "all"] = "first"
    """Which of several values: `all` gives a list."""
    group: Annotated[int, Field(ge=0, le=99)] | None = None
    """Which group of the regular expression: 0 is the whole match. The first when left out, or all if there is none."""
    default: Any = Field(default=None, json_schema_extra=OPEN_VALUE)
    """The value where nothing is found. Without one, that something is found is a check, and the variable is empty."""

    @model_serializer(mode="wrap")
    def _keep_null(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return kept_null(self, serialize(self), "default")


class Expect(Model):
    """A message that is waited for. Others that come before it are counted and passed over."""

    text: MatcherValue | None = None
    """The message's text: equal to it, or `*text` for a part of it, or `~regex`. Without `text` and `json`: any."""
    json_: Annotated[dict[ShortText, MatcherValue], Field(max_length=64)] = Field(default={})
    """By JSONPath (RFC 9535), what must be found in the message."""
    within: Duration = Duration("5s")
    """How long it may take, from here; else the step has failed."""
    extract: Annotated[dict[VariableName, Extract], Field(max_length=16)] = Field(default={})
    """Variables to take from the message, by name; what is sent later may hold `${name}`."""


class Exchange(Model):
    """One thing that is done over an open WebSocket."""

    model_config = validated(exactly_one(*EXCHANGES))

    send: Body | None = None
    """A text message; may hold `${...}`."""
    send_json: Any = Field(default=None, json_schema_extra=OPEN_VALUE)
    """A text message that is JSON; any text in it may hold `${...}`."""
    send_base64: Annotated[Body, StringConstraints(pattern=_BASE64)] | None = None
    """A binary message, in base64."""
    expect: Expect | None = None
    """Wait for a message."""
    think: ThinkText | None = None
    """Wait, as between steps; what comes meanwhile is there to be expected later."""


class WebSocket(Call):
    """One WebSocket: opened, talked over, closed."""

    query: Parameters = Field(default={})
    """Query parameters, encoded for you: a value, or a list of values for one name. Texts may hold `${...}`."""
    subprotocols: Annotated[list[Subprotocol], Field(max_length=16)] = Field(default=[])
    """Those that are offered, best first."""
    steps: Annotated[list[Exchange], Field(max_length=100)] = Field(default=[])
    """What is done once it is open."""
    times: Annotated[int, Field(ge=1, le=MAX_TIMES)] = 1
    """How often the steps are done over the one connection."""
    for_: Duration | None = None
    """How long to stay behind the steps and listen: messages are counted."""
    close: Annotated[int, Field(ge=1000, le=4999)] = 1000
    """The code that it is closed with: 1000, or one from 3000 on."""

    @property
    def parameters(self) -> dict[str, Any]:
        """What is put behind the URL."""
        return self.query

    @property
    def http_url(self) -> str:
        """Where its request goes, as an HTTP URL."""
        return websocket_url(self.url)

    @property
    def succeeds_with(self) -> frozenset[int] | None:
        """An answer to the handshake that is no upgrade is a failure."""
        return frozenset({101})

    @property
    def compresses(self) -> bool:
        """Whether it asks for a compressed response."""
        return False


def websocket_url(url: str) -> str:
    """The HTTP URL of a WebSocket's handshake: `ws` is http and `wss` https."""
    return re.sub(r"^ws(s?)://", r"http\1://", url, flags=re.IGNORECASE)


class Group(Model):
    """Steps under one name."""

    name: ShortText
    """The name, which the samples carry as the tag `group`."""
    steps: "Steps"
    """The steps."""


class Repeat(Model):
    """Steps that are done several times."""

    times: Annotated[int, Field(ge=1, le=MAX_TIMES)]
    """How often."""
    steps: "Steps"
    """The steps."""


class While(Model):
    """Steps that are done again as long as something holds."""

    value: Text
    """What is looked at before each turn, such as `${state}`."""
    is_: GivenMatcher
    """What it must be for another turn."""
    max: Annotated[int, Field(ge=1, le=MAX_TIMES)]
    """How many turns at most: a loop without a bound would never end."""
    steps: "Steps"
    """The steps."""


class If(Model):
    """Steps that are done only where something holds."""

    value: Text
    """What is looked at, such as `${state}`."""
    is_: GivenMatcher
    """What it must be."""
    then: "Steps"
    """The steps where it is."""
    else_: "Steps | None" = None
    """The steps where it isn't."""


class Branch(Model):
    """One way of several."""

    weight: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """How often it is taken, compared with the others' weights."""
    steps: "Steps"
    """The steps."""


class Step(Model):
    """One step of a journey, of exactly one kind."""

    model_config = validated(
        exactly_one(*KINDS),
        rule(
            " || ".join(f"has(self.{kind})" for kind in CALLS)
            + " || !(has(self.check) || (has(self.extract) && self.extract.size() > 0))",
            "check and extract go with a request",
        ),
    )

    request: Request | None = None
    """Send an HTTP request."""
    graphql: GraphQL | None = None
    """Do a GraphQL operation."""
    sse: SSE | None = None
    """Listen to server-sent events."""
    websocket: WebSocket | None = None
    """Talk over a WebSocket."""
    grpc: GRPC | None = None
    """Make a gRPC call."""
    check: Check | None = None
    """What must hold of the request's response."""
    extract: Annotated[dict[VariableName, Extract], Field(max_length=16)] = Field(default={})
    """Variables to take from the request's response, by name; later steps write `${name}`."""
    think: ThinkText | None = None
    """Wait: a duration (`1s`), or a range that is drawn from evenly (`1s..3s`)."""
    group: Group | None = None
    """Steps under one name."""
    repeat: Repeat | None = None
    """Steps that are done several times."""
    while_: While | None = None
    """Steps that are done again as long as something holds."""
    if_: If | None = None
    """Steps that are done only where something holds."""
    choice: Annotated[list[Branch], Field(min_length=1, max_length=20)] | None = None
    """One of several ways, drawn by weight in each iteration."""

    @property
    def kind(self) -> str:
        """Which of the kinds it is, by its name in the manifest."""
        return next(kind for kind in KINDS if getattr(self, _ATTRIBUTES[kind]) is not None)

    @property
    def call(self) -> Call | None:
        """What it says to the target, in whichever protocol; None where it doesn't speak with it."""
        return self.request or self.graphql or self.sse or self.websocket or self.grpc


_ATTRIBUTES = {kind: f"{kind}_" if kind in ("while", "if") else kind for kind in KINDS}

Steps = Annotated[list[Step], Field(min_length=1, max_length=MAX_STEPS)]


def check_names(check: Check) -> list[str]:
    """What the parts of a valid check are called in the metric `checks` and in reports, in the order of its fields."""
    names = [] if check.status is None else [f"status is {describe_status(check.status)}"]
    for subject, value, unit in (
        ("duration", check.duration, matcher.Unit.DURATION),
        ("size", check.size, matcher.Unit.SIZE),
        ("body", check.body, matcher.Unit.NUMBER),
    ):
        if value is not None:
            names.append(f"{subject} {matcher.describe(matcher.parse(value, unit=unit))}")
    named = (("header", check.headers), ("trailer", check.trailers), ("cookie", check.cookies), ("json", check.json_))
    for subject, values in named:
        names += [f"{subject} {key} {matcher.describe(matcher.parse(value))}" for key, value in values.items()]
    return names
