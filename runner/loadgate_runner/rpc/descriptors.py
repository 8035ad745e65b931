"""What a server's methods take and give, as descriptors say it; protobuf's JSON becomes messages and comes of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    message_factory,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from loadgate.api.grammar.errors import did_you_mean
from loadgate.api.steps import PROTOC

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_FILES: Final = 2_000
_DEEPEST: Final = 100
_LONGEST: Final = 300
_TEXT: Final = re.compile(rb"\s*(?://|/\*|(?:syntax|edition|package|import|option|message|service|enum)\b)")
"""How a .proto file begins."""
_WELL_KNOWN: Final = {
    module.DESCRIPTOR.name: module.DESCRIPTOR.serialized_pb
    for module in (
        any_pb2,
        api_pb2,
        descriptor_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        source_context_pb2,
        struct_pb2,
        timestamp_pb2,
        type_pb2,
        wrappers_pb2,
    )
}
"""Files that everybody has, so that a file of descriptors needn't hold them."""


class DescriptorsError(ValueError):
    """Descriptors that can't be used, or a message that isn't as they say; the message is for people."""


@dataclass(frozen=True)
class Method:
    """One method of a service: its path on the wire, and what goes either way."""

    path: str
    client_streams: bool
    server_streams: bool
    _takes: Any
    _gives: Any
    _pool: Any

    def encode(self, document: Any) -> bytes:
        """The bytes of the message that a document in protobuf's JSON stands for. Raises DescriptorsError."""
        message = self._takes()
        try:
            json_format.ParseDict(document, message, descriptor_pool=self._pool, max_recursion_depth=_DEEPEST)
            return bytes(message.SerializeToString())
        except (json_format.Error, TypeError, ValueError) as fault:
            raise DescriptorsError(f"no {message.DESCRIPTOR.full_name}: {_said(fault)}") from fault

    def decode(self, data: bytes) -> bytes:
        """A reply as JSON, with the fields that have their default value. Raises DescriptorsError."""
        try:
            return orjson.dumps(self.document(data))
        except TypeError as fault:
            raise DescriptorsError(f"no {self._gives.DESCRIPTOR.full_name} came: {_said(fault)}") from fault

    def document(self, data: bytes) -> dict[str, Any]:
        """The same as a document. Raises DescriptorsError."""
        try:
            message = self._gives.FromString(data)
            document: dict[str, Any] = json_format.MessageToDict(
                message, always_print_fields_with_no_presence=True, descriptor_pool=self._pool
            )
            return document  # noqa: TRY300 - what could fail is above
        except (DecodeError, json_format.Error, TypeError, ValueError) as fault:
            raise DescriptorsError(f"no {self._gives.DESCRIPTOR.full_name} came: {_said(fault)}") from fault

    def lacks(self, document: Any) -> str:
        """The first name in a document that isn't a field's where it stands; empty where there is none.

        Values aren't looked at, so it can be asked of a document whose texts aren't known yet.
        """
        return _lacking(self._takes.DESCRIPTOR, document)


class Descriptors:
    """Files of descriptors of one server, in whatever order they come."""

    def __init__(self) -> None:
        self._pool = DescriptorPool()
        self._files: dict[str, Any] = {}
        self._built: set[str] = set()

    @classmethod
    def of_protoset(cls, data: bytes) -> Descriptors:
        """Those of a FileDescriptorSet, as protoc and buf write it. Raises DescriptorsError."""
        try:
            files = descriptor_pb2.FileDescriptorSet.FromString(data)
        except DecodeError as fault:
            what = (
                f"but text: it is what `{PROTOC}` makes, or give the file under protos"
                if _TEXT.match(data)
                else _said(fault)
            )
            raise DescriptorsError(f"no file of descriptors: {what}") from fault
        if not files.file:
            raise DescriptorsError("a file of descriptors without any file in it")
        descriptors = cls()
        descriptors._take(files.file)
        if missing := descriptors.missing():
            raise DescriptorsError(f"{missing[0]} isn't in it, which others import: make it with its imports")
        return descriptors

    def add(self, files: Iterable[bytes]) -> None:
        """Take files, each a serialised FileDescriptorProto. Raises DescriptorsError."""
        try:
            self._take([descriptor_pb2.FileDescriptorProto.FromString(data) for data in files])
        except DecodeError as fault:
            raise DescriptorsError(f"no descriptor of a file: {_said(fault)}") from fault

    def missing(self) -> list[str]:
        """Files that others import and that aren't there."""
        wanted = {name for file in self._files.values() for name in file.dependency}
        return sorted(wanted - self._files.keys() - _WELL_KNOWN.keys())

    @property
    def services(self) -> list[str]:
        """The names of all services."""
        return sorted(
            f"{file.package}.{service.name}" if file.package else service.name
            for file in self._files.values()
            for service in file.service
        )

    def method(self, name: str) -> Method:
        """The method that is called `package.Service/Method`. Raises DescriptorsError."""
        service, _, called = name.partition("/")
        if service not in self.services:
            raise DescriptorsError(f"no service {service!r}: {did_you_mean(service, self.services)}")
        try:
            for file in self._files:
                self._build(file, 0)
            methods = self._pool.FindServiceByName(service).methods_by_name
        except (TypeError, KeyError) as fault:
            raise DescriptorsError(f"descriptors that don't fit together: {_said(fault)}") from fault
        found = methods.get(called)
        if found is None:
            raise DescriptorsError(f"{service} has no method {called!r}: {did_you_mean(called, list(methods))}")
        takes, gives = (message_factory.GetMessageClass(each) for each in (found.input_type, found.output_type))
        return Method(f"/{name}", found.client_streaming, found.server_streaming, takes, gives, self._pool)

    def _take(self, files: Iterable[Any]) -> None:
        for file in files:
            self._files.setdefault(file.name, file)
        if len(self._files) > _MOST_FILES:
            raise DescriptorsError(f"more than {_MOST_FILES} files of descriptors")

    def _build(self, name: str, depth: int) -> None:
        """Give the pool a file behind those that it imports."""
        if name in self._built:
            return
        if depth > _MOST_FILES:
            raise TypeError("files import one another in a circle")
        file = self._files.get(name)
        if file is None:
            file = descriptor_pb2.FileDescriptorProto.FromString(_WELL_KNOWN[name])
        for imported in file.dependency:
            self._build(imported, depth + 1)
        self._pool.Add(file)
        self._built.add(name)


def _lacking(descriptor: Any, document: Any) -> str:
    if not isinstance(document, dict) or descriptor.full_name.startswith("google.protobuf."):
        return ""
    known = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
    for key, value in document.items():
        field = known.get(key)
        if field is None:
            if key.startswith("["):
                continue  # an extension
            return f"{descriptor.full_name} has no field {key!r}: {did_you_mean(key, known)}"
        inner = field.message_type
        if inner is None:
            continue
        if inner.GetOptions().map_entry:
            inner = inner.fields_by_name["value"].message_type
            values = list(value.values()) if isinstance(value, dict) and inner is not None else []
        else:
            values = value if isinstance(value, list) else [value]
        for each in values:
            if found := _lacking(inner, each):
                return found
    return ""


def _said(fault: Exception) -> str:
    """What a library says, short and on one line."""
    return " ".join(str(fault).split())[:_LONGEST] or type(fault).__name__
