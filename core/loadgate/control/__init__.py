"""The contract between operator and runner: states, paths and messages of the control port.

HTTP and JSON, guarded by a token of the run's own. Each message may come twice, late or never: all but `stop`
change something at most once, and every answer is the runner's whole state.
"""

from loadgate.control.messages import (
    Ack,
    BlockReport,
    BlockState,
    MessageError,
    RunMessage,
    RunnerReport,
    RunnerState,
    Start,
    Stop,
    Teardown,
)
from loadgate.control.paths import (
    ACK,
    ARM,
    DEFAULT_PORT,
    HEALTHZ,
    LOG_PREFIX,
    METRICS,
    SETUP,
    SNAPSHOT,
    START,
    STATE,
    STOP,
    TEARDOWN,
)

__all__ = [
    "ACK",
    "ARM",
    "DEFAULT_PORT",
    "HEALTHZ",
    "LOG_PREFIX",
    "METRICS",
    "SETUP",
    "SNAPSHOT",
    "START",
    "STATE",
    "STOP",
    "TEARDOWN",
    "Ack",
    "BlockReport",
    "BlockState",
    "MessageError",
    "RunMessage",
    "RunnerReport",
    "RunnerState",
    "Start",
    "Stop",
    "Teardown",
]
