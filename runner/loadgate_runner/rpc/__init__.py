"""gRPC calls, over grpc.aio: a VU's own connection to each server, messages by descriptors, outcomes as responses.

Nothing here is imported where a plan has no gRPC step: it costs a process some 10 MB and 0.15 s. What grpc would do by
itself and we mustn't leave to it is taken from it: names are looked up and judged by our own dialler, no proxy is used,
and connections aren't shared.
"""

from loadgate_runner.rpc.calls import Caller, Ear, Wish, ended_early, late_reply, unsent
from loadgate_runner.rpc.compiling import compiled_protos
from loadgate_runner.rpc.conversation import Conversation
from loadgate_runner.rpc.descriptors import Descriptors, DescriptorsError, Method
from loadgate_runner.rpc.line import Line, line_of
from loadgate_runner.rpc.reflection import describe

__all__ = [
    "Caller",
    "Conversation",
    "Descriptors",
    "DescriptorsError",
    "Ear",
    "Line",
    "Method",
    "Wish",
    "compiled_protos",
    "describe",
    "ended_early",
    "late_reply",
    "line_of",
    "unsent",
]
