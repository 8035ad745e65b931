"""The protocols that steps speak, each with the compiler of its model: where a new kind of step is added.

A compiler gets the call as the manifest has it, what of the outcome is looked at, and the workshop; it returns a
coroutine function from a virtual user's state to the outcome. That is a `Response` with its phases, whatever protocol
it came over, with an `error` where it failed; recording, checks and extraction are the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from loadgate.api.steps import GRPC, SSE, Call, GraphQL, Request, WebSocket

from .graphql import compile_graphql
from .requests import Needs, Send, compile_request
from .sse import compile_sse
from .websocket import compile_websocket

if TYPE_CHECKING:
    from .workshop import Workshop

Compiler = Callable[[Any, Needs, "Workshop"], Send]


def _compile_grpc(call: GRPC, needs: Needs, shop: Workshop) -> Send:
    """Load what speaks gRPC with the first step that needs it: it costs a process memory and time."""
    from .rpc import compile_grpc  # noqa: PLC0415 - see above

    return compile_grpc(call, needs, shop)


_COMPILERS: Final[dict[type[Call], Compiler]] = {
    Request: compile_request,
    GraphQL: compile_graphql,
    SSE: compile_sse,
    WebSocket: compile_websocket,
    GRPC: _compile_grpc,
}


def compile_call(call: Call, needs: Needs, shop: Workshop) -> Send:
    """Return what makes a call for a virtual user."""
    return _COMPILERS[type(call)](call, needs, shop)
