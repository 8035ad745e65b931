"""What a virtual user does: a scenario's steps, or a Python file, compiled once to coroutines.

`compile_scenario` before load begins; then a virtual user per `Journey.new_vu`, and `VU.iterate` per iteration.
"""

from .context import Context
from .data import read_rows
from .errors import BlockError, JourneyError
from .rows import Description, Rows, nameless_file
from .scenario import check_block, compile_scenario, redacted, run_block
from .vu import VU, Journey, Outcome

__all__ = [
    "VU",
    "BlockError",
    "Context",
    "Description",
    "Journey",
    "JourneyError",
    "Outcome",
    "Rows",
    "check_block",
    "compile_scenario",
    "nameless_file",
    "read_rows",
    "redacted",
    "run_block",
]
