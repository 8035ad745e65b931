"""GraphQL operations: a POST of JSON whose answer has failed when it has errors, whatever its status says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from loadgate_runner.http import JSON, Failure

from .data import read_file
from .errors import JourneyError
from .extract import parse_json
from .requests import compile_sending
from .templates import join, json_pieces
from .values import dumps

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from loadgate.api.steps import GraphQL
    from loadgate_runner.http import Response

    from .requests import Needs, Send
    from .templates import Piece
    from .workshop import Workshop

ACCEPTED: Final = "application/graphql-response+json, application/json;q=0.9"

_LONGEST_MESSAGE: Final = 200


def compile_graphql(call: GraphQL, needs: Needs, shop: Workshop) -> Send:
    """Return what does the operation for a virtual user."""
    body: list[Piece] = [b'{"query":', dumps(_document(call, shop.files))]
    if call.operation_name is not None:
        body += [b',"operationName":', dumps(call.operation_name)]
    if call.variables:
        body += [b',"variables":', *json_pieces(call.variables, shop.scope)]
    looks = call.errors == "fail"
    needs = replace(needs, body=True) if looks else needs
    send = compile_sending(call, JSON, join([*body, b"}"]), needs, shop, accept=ACCEPTED)
    return (lambda state: judged(send(state))) if looks else send


async def judged(sending: Awaitable[Response]) -> Response:
    """Make a failure of a 2xx answer that has errors, or that is none of GraphQL's."""
    response = await sending
    if response.error is None and 200 <= response.status < 300 and (message := _fault(response)):
        response.error, response.message = Failure.GRAPHQL, message
    return response


def _fault(response: Response) -> str:
    if response.truncated:
        return f"the answer is larger than {len(response.body)} bytes, so nobody knows whether it has errors"
    document = parse_json(response.body)
    if not isinstance(document, dict) or not ("data" in document or "errors" in document):
        return "the answer is no GraphQL response: a JSON object with `data` or `errors`"
    errors = document.get("errors")
    if not errors and "data" in document:
        return ""
    return _told(errors)


def _told(errors: Any) -> str:
    """The first of the errors, in the target's own words."""
    first = errors[0] if isinstance(errors, list) and errors else None
    message = first.get("message") if isinstance(first, dict) else None
    text = message if isinstance(message, str) and message else "without a message"
    return f"GraphQL errors: {text[:_LONGEST_MESSAGE]}"


def _document(call: GraphQL, files: Path) -> str:
    if call.file is None:
        return call.query or ""
    ref = call.file.config_map_key_ref
    try:
        return read_file(files / ref.name / ref.key).decode()
    except UnicodeDecodeError as error:
        raise JourneyError(f"{ref.key} is no GraphQL document: it isn't UTF-8") from error
