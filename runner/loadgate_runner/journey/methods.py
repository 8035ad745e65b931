"""gRPC methods as Python journeys call them: what calls of one shape share, with the descriptors behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from loadgate.api.grammar.status import GRPC_OK
from loadgate.api.names import GRPCMethod
from loadgate.api.steps import grpc_url
from loadgate_runner.http import basic, bearer, prepare
from loadgate_runner.rpc import Caller, DescriptorsError, Wish

from .describing import compiled, described, reflected
from .errors import JourneyError, ValueFault
from .metadata import Metadata, of_target, sendable
from .target import place
from .terms import Settings, Terms
from .tracing import HEADER as TRACE_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from loadgate_runner.http import Request as Prepared
    from loadgate_runner.rpc import Descriptors

    from .kit import Kit
    from .metadata import Entries
    from .state import State
    from .terms import Auth

    Protos = tuple[tuple[str, str | PathLike[str]], ...] | None
    """By the path that others import it by, each file."""

_MOST_KEPT: Final = 1_000
_METHOD: Final[TypeAdapter[str]] = TypeAdapter(GRPCMethod)


class Shape(NamedTuple):
    """What calls have to have alike to share the rest."""

    method: str
    url: str
    settings: Settings
    accepted: frozenset[int]
    protoset: str | PathLike[str] | None
    protos: Protos
    seconds: float | None
    given: frozenset[str]
    """Names of their own entries."""
    bare: bool
    """Whether they say nothing of who they are."""


class Made(NamedTuple):
    """A method, ready to be called."""

    caller: Caller
    metadata: Metadata

    def encode(self, message: Mapping[str, Any]) -> bytes:
        """A message's bytes. Raises ValueFault."""
        try:
            return self.caller.method.encode(message)
        except DescriptorsError as fault:
            raise ValueFault(f"a message of {self.caller.method.path}: {fault}") from fault


class Methods:
    """One scenario's, in one process."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._made: dict[Shape, Made] = {}
        self._prepared: dict[Shape, Prepared] = {}

    def prepared(self, shape: Shape) -> Prepared:
        """Where calls of a shape go, and within which limits. Raises ValueFault."""
        found = self._prepared.get(shape)
        if found is None:
            found = self._prepare(shape)
            if len(self._prepared) < _MOST_KEPT:
                self._prepared[shape] = found
        return found

    async def made(self, shape: Shape, state: State) -> Made:
        """The method, for which the server may have to be asked. Raises ValueFault, RequestFailed."""
        found = self._made.get(shape)
        if found is None:
            found = await self._make(shape, state)
            if len(self._made) < _MOST_KEPT:
                self._made[shape] = found
        return found

    async def _make(self, shape: Shape, state: State) -> Made:
        try:
            metadata = self._metadata(shape)
            descriptors = await self._descriptors(shape, metadata.known, state)
            method = descriptors.method(shape.method)
        except (DescriptorsError, JourneyError) as fault:
            raise ValueFault(f"gRPC call {shape.method!r}: {fault}") from fault
        if shape.seconds is not None and not method.server_streams:
            raise ValueFault(f"{shape.method} gives one reply: `for_` is for streams")
        wish = Wish(seconds=shape.seconds)
        return Made(Caller(method, self.prepared(shape), shape.accepted, wish), metadata)

    async def _descriptors(self, shape: Shape, known: Entries, state: State) -> Descriptors:
        kept = self._kit.shop.kept
        if shape.protoset is not None and shape.protos is not None:
            raise DescriptorsError("it has protoset and protos: keep one")
        if shape.protoset is not None:
            return described(Path(shape.protoset), kept)
        if shape.protos is not None:
            return await compiled({path: Path(file) for path, file in shape.protos}, kept)
        return await reflected(shape.method.partition("/")[0], self.prepared(shape), known, state.client, kept)

    def _metadata(self, shape: Shape) -> Metadata:
        """The entries that aren't a call's own."""
        kit, target = self._kit, self._kit.shop.target
        given = {name: value for name, value in of_target(target).items() if name not in shape.given}
        ours = shape.bare and self.prepared(shape).origin == target.origin
        tracing = None if TRACE_HEADER in shape.given else kit.tracing
        return Metadata(given, kit.shop.scope, tracing, kit.tokens if ours else None)

    def _prepare(self, shape: Shape) -> Prepared:
        target = self._kit.shop.target
        try:
            _METHOD.validate_python(shape.method)
            origin = place(grpc_url(shape.url))[0] if shape.url else target.origin
        except (ValidationError, JourneyError) as fault:
            raise ValueFault(f"gRPC call {shape.method!r}: {fault}") from fault
        options = shape.settings.applied(target.options)
        if self._kit.shop.signer is not None and shape.bare and origin == target.origin:
            raise ValueFault("a gRPC call can't be signed as the target's auth says: give `auth`, or False")
        if origin.secure and not options.tls.verify:
            raise ValueFault("of a gRPC call over TLS the certificate is always verified: give the target a tls.ca")
        if options.rates is not None:
            raise ValueFault("the target's uploadRate and downloadRate don't hold for gRPC calls")
        path = f"/{shape.method}".encode()
        return prepare("POST", origin, path, options=options, needs_headers=True, needs_body=True)


def shape_of(  # noqa: PLR0913, PLR0917 - the parts of a call
    method: str,
    url: str,
    terms: Terms,
    accepted: frozenset[int] | None,
    protoset: str | PathLike[str] | None,
    protos: Mapping[str, str | PathLike[str]] | None,
    seconds: float | None,
    own: Entries,
) -> Shape:
    """The shape of a call with these parts."""
    names = frozenset(name for name, _ in own)
    if terms.auth is not None:
        names |= {"authorization"}
    bare = "authorization" not in names
    files = None if protos is None else tuple(protos.items())
    return Shape(
        method, url, Settings.of(terms), accepted or frozenset({GRPC_OK}), protoset, files, seconds, names, bare
    )  # fmt: skip


def own_entries(metadata: Mapping[str, str | bytes] | None, auth: Auth) -> Entries:
    """A call's own entries as they are sent. Raises ValueFault where one can't be."""
    own = [(name.lower(), value) for name, value in (metadata or {}).items()]
    if auth:
        own = [one for one in own if one[0] != "authorization"]
        own.append(("authorization", bearer(auth) if isinstance(auth, str) else basic(*auth)))
    return tuple((name, _sendable(name, value)) for name, value in own)


def _sendable(name: str, value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):
        if not name.endswith("-bin"):
            raise ValueFault(f"metadata {name!r}: bytes are sent under a name that ends in -bin")
        return value
    return sendable(name, value)
