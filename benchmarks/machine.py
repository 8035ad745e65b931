"""What the figures were taken on, and how busy it was with other things: half of what a figure means."""

import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Machine:
    """One machine, and the load of others at the moment of asking (in cores)."""

    system: str
    processor: str
    cores: int
    memory_gib: int
    python: str
    day: str
    foreign_load: float

    def sentence(self) -> str:
        """For people."""
        return (
            f"Taken on {self.day}: {self.processor}, {self.cores} cores, {self.memory_gib} GiB, {self.system}, "
            f"Python {self.python}; before the first round other work took {self.foreign_load:.2f} cores."
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def machine() -> Machine:
    """This one, now."""
    cores = os.cpu_count() or 1
    return Machine(
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        processor=_processor(),
        cores=cores,
        memory_gib=round(psutil.virtual_memory().total / 2**30),
        python=platform.python_version(),
        day=time.strftime("%Y-%m-%d"),
        foreign_load=psutil.cpu_percent(interval=1.0) / 100 * cores,
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
