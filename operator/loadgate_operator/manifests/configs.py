"""ConfigMaps and Secrets of a run: the plan that runners read, the token that guards them, the result that stays."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from loadgate_operator.manifests import names

if TYPE_CHECKING:
    from loadgate.api.loadtest import LoadTest
    from loadgate.plan import Plan

PLAN_KEY = "plan.json"
RESULT_KEY = "result.json.zst"
TOKEN_KEY = "token"  # noqa: S105 - the key that a token is kept under, no token

MOST_BYTES = 1 << 20
"""A ConfigMap's data has at most 1 MiB, as the API server counts it."""


class TooLargeError(ValueError):
    """What was to be kept in one object doesn't fit into one."""

    def __init__(self, what: str, size: int) -> None:
        """`what` names the content, `size` its bytes."""
        super().__init__(f"{what} has {size:,} bytes; a ConfigMap holds {MOST_BYTES:,}")
        self.size = size


def plan_config_map(test: LoadTest, run: str, plan: Plan) -> dict[str, Any]:
    """What the runners of a run are told. Raises TooLargeError; what makes a plan large is inline data."""
    text = plan.encode().decode()
    _check_size("the plan (inline data is a part of it; a ConfigMap of its own holds more)", len(text.encode()))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names.metadata(test, names.plan_name(run), run, "plan"),
        "immutable": True,
        "data": {PLAN_KEY: text},
    }


def result_config_map(test: LoadTest, run: str, number: int, encoded: bytes) -> dict[str, Any]:
    """A run's result, as `Result.encode` made it. Raises TooLargeError: half a result would be a false one."""
    _check_size("the result", len(encoded))
    name = names.result_name(test.metadata.name, number)
    annotations = {names.RUN_NUMBER_ANNOTATION: str(number)}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names.metadata(test, name, run, "result", **annotations),
        "binaryData": {RESULT_KEY: base64.b64encode(encoded).decode()},
    }


def result_bytes(config_map: dict[str, Any]) -> bytes | None:
    """The encoded result in a ConfigMap; None where it holds none."""
    return _decoded(config_map.get("binaryData"), RESULT_KEY)


def token_secret(test: LoadTest, run: str, token: str) -> dict[str, Any]:
    """The token that the operator and the runners of one run share."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": names.metadata(test, names.token_name(run), run, "token"),
        "immutable": True,
        "type": "Opaque",
        "data": {TOKEN_KEY: base64.b64encode(token.encode()).decode()},
    }


def token_of(secret: dict[str, Any]) -> str | None:
    """The token in a Secret; None where it holds none."""
    raw = _decoded(secret.get("data"), TOKEN_KEY)
    return raw.decode() if raw else None


def _decoded(data: dict[str, Any] | None, key: str) -> bytes | None:
    try:
        return base64.b64decode((data or {})[key], validate=True)
    except (KeyError, TypeError, binascii.Error):
        return None


def _check_size(what: str, size: int) -> None:
    if size > MOST_BYTES:
        raise TooLargeError(what, size)
