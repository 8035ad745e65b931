"""What a virtual user does: a scenario's steps, or a Python file, compiled once to coroutines.

`compile_scenario` before load begins; then a virtual user per `Journey.new_vu`, and `VU.iterate` per iteration.
"""

from .context import Context
from .errors import BlockError, JourneyError
from .scenario import check_block, compile_scenario, redacted, run_block
from .vu import VU, Journey, Outcome

__all__ = [
    "VU",
    "BlockError",
    "Context",
    "Journey",
    "JourneyError",
    "Outcome",
    "check_block",
    "compile_scenario",
    "redacted",
    "run_block",
]
