"""Durations, ratios and amounts as manifests write them: the text is kept, the number is derived."""

import re
from decimal import Decimal
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

_SECONDS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?)|[eE]([+-]?[0-9]{1,2}))")


class _Text(str):
    """A string of a fixed form; invalid text is refused with words about that form."""

    __slots__ = ()
    pattern: ClassVar[str]
    schema: ClassVar[dict[str, Any]]
    wanted: ClassVar[str]

    def __new__(cls, text: str) -> Self:
        """Check the text against the pattern; ValueError says what would be right."""
        if not re.fullmatch(cls.pattern, text):
            raise ValueError(f"{text!r} is not {cls.wanted}")
        return super().__new__(cls, text)

    @classmethod
    def _from(cls, value: object) -> Self:
        """From what a manifest holds; subclasses that take numbers too turn them into text first."""
        if not isinstance(value, str):
            raise PydanticCustomError("wrong_form", f"must be {cls.wanted}", {"value": value})
        try:
            return cls(value)
        except ValueError as error:
            raise PydanticCustomError("wrong_form", "must be {wanted}", {"wanted": cls.wanted}) from error

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._from, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return dict(cls.schema)


class Duration(_Text):
    """A Go-style duration such as `90s`, `2m30s` or `500ms`."""

    __slots__ = ()
    pattern = r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$"
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": pattern, "maxLength": 32}
    wanted = "a duration with a unit, like 500ms, 90s or 2m30s"

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(self)))


class Ratio(_Text):
    """A share between 0 and 1, written as `1%`, `"0.01"` or 0.01."""

    __slots__ = ()
    pattern = r"^(100(\.0+)?%|[0-9]{1,2}(\.[0-9]+)?%|0(\.[0-9]+)?|1(\.0+)?)$"
    schema: ClassVar[dict[str, Any]] = {
        "x-kubernetes-preserve-unknown-fields": True,  # a fraction is neither an integer nor a string
        "pattern": pattern,
        "minimum": 0,
        "maximum": 1,
    }
    wanted = "a ratio between 0 and 1, like 1% or 0.01"

    @classmethod
    def _from(cls, value: object) -> Self:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return cls(format(Decimal(str(value)), "f"))
        return super()._from(value)

    @property
    def value(self) -> float:
        """The ratio as a number between 0 and 1."""
        return float(Decimal(self[:-1]) / 100) if self.endswith("%") else float(self)


class _Quantity(_Text):
    """An amount of a resource as Kubernetes writes it."""

    __slots__ = ()
    pattern = r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$"
    schema: ClassVar[dict[str, Any]] = {"x-kubernetes-int-or-string": True, "pattern": pattern, "maxLength": 32}

    @classmethod
    def _from(cls, value: object) -> Self:
        if isinstance(value, int) and not isinstance(value, bool):
            return super()._from(str(value))
        return super()._from(value)

    @property
    def amount(self) -> Decimal:
        """The exact amount, in the resource's own unit."""
        found = _QUANTITY.fullmatch(self)
        if found is None:
            raise AssertionError(self)
        number, suffix, exponent = found.groups()
        if exponent:
            return Decimal(number).scaleb(int(exponent))
        if suffix in _BINARY:
            return Decimal(number) * Decimal(2) ** _BINARY[suffix]
        return Decimal(number).scaleb(_DECIMAL[suffix or ""])


class Cpu(_Quantity):
    """Processor time: `1`, `500m`."""

    __slots__ = ()
    wanted = 'an amount of CPU, like "1" or 500m'

    @property
    def cores(self) -> float:
        """The amount in cores."""
        return float(self.amount)


class Memory(_Quantity):
    """Memory: `256Mi`, `1G`."""

    __slots__ = ()
    wanted = "an amount of memory, like 256Mi or 1Gi"

    @property
    def bytes(self) -> int:
        """The amount in bytes."""
        return int(self.amount)


class ByteRate(_Quantity):
    """Bytes a second: `128Ki`, `1M`."""

    __slots__ = ()
    wanted = "bytes a second, like 128Ki or 1M"

    @property
    def per_second(self) -> float:
        """The amount in bytes a second."""
        return float(self.amount)


def _short(number: float) -> str:
    """One decimal below 10, where it matters, none above."""
    return f"{number:.1f}".removesuffix(".0") if number < 10 else f"{number:.0f}"


def format_duration(seconds: float) -> str:
    """Seconds for people: `812µs`, `41ms`, `1.9s`, `2m30s`, `1h5m`."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f}µs" if seconds >= 5e-7 else "0s"
    if seconds < 0.9995:
        return _short(seconds * 1000) + "ms"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}h{minutes}m" if minutes else f"{hours}h"


def format_ratio(ratio: float) -> str:
    """A ratio as a percentage with two decimals; what isn't quite none or all never reads as 0% or 100%."""
    if 0 < ratio < 0.00005:
        return "<0.01%"
    if 0.99995 < ratio < 1:
        return ">99.99%"
    return f"{ratio * 100:.2f}".rstrip("0").rstrip(".") + "%"


def format_bytes(count: float) -> str:
    """A number of bytes in decimal units: `512 B`, `1.2 kB`, `34 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{_short(count)} {unit}"
        count /= 1000
    return f"{_short(count)} TB"
