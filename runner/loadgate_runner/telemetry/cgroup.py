"""What the kernel lets this process have: CPU quota, throttling and memory limit of its control group, v2 or v1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNLIMITED_V1 = 1 << 60
"""v1 writes "no limit" as a number near 2**63; no machine has this much memory."""


@dataclass(frozen=True)
class Cgroup:
    """The folders of this process's groups, innermost first, up to the root that it sees."""

    cpu: tuple[Path, ...]
    memory: tuple[Path, ...]

    @classmethod
    def find(cls, root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> Cgroup:
        """Read which groups this process is in. Without control groups there are no folders, hence no limits."""
        cpu: tuple[Path, ...] = ()
        memory: tuple[Path, ...] = ()
        for line in _text(membership).splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                cpu = cpu or tuple(_upwards(root, path))
                memory = memory or tuple(_upwards(root, path))
            if "cpu" in controllers.split(","):
                cpu = tuple(_upwards(root / controllers, path)) or tuple(_upwards(root / "cpu", path))
            if "memory" in controllers.split(","):
                memory = tuple(_upwards(root / "memory", path))
        return cls(cpu, memory)

    def cores(self) -> float | None:
        """The smallest CPU quota of all groups, in cores; None when there is none."""
        return min((quota for folder in self.cpu if (quota := _quota(folder)) is not None), default=None)

    def memory_limit(self) -> int:
        """The smallest memory limit of all groups in bytes; 0 when there is none."""
        limits = (_number(folder, "memory.max") or _number(folder, "memory.limit_in_bytes") for folder in self.memory)
        return int(min((limit for limit in limits if limit and limit < _UNLIMITED_V1), default=0))

    def throttling(self) -> tuple[int, int]:
        """Periods that the innermost group with a quota has had, and in how many of them it was held back."""
        for folder in self.cpu:
            if _quota(folder) is not None:
                pairs = (line.partition(" ") for line in _text(folder / "cpu.stat").splitlines())
                stat = {key: value for key, _, value in pairs}
                return int(stat.get("nr_periods", 0)), int(stat.get("nr_throttled", 0))
        return 0, 0


def _upwards(root: Path, path: str) -> Iterator[Path]:
    # In a container the group's path may be the host's, and not to be seen here: then the root is our own group.
    folder = root / path.strip("/")
    if not folder.is_dir() or ".." in path:
        folder = root
    while folder.is_dir():
        yield folder
        if folder == root:
            return
        folder = folder.parent


def _quota(folder: Path) -> float | None:
    quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
    if quota and quota != "max":
        return int(quota) / int(period or 100_000)
    old = _number(folder, "cpu.cfs_quota_us")
    return old / (_number(folder, "cpu.cfs_period_us") or 100_000) if old and old > 0 else None


def _number(folder: Path, name: str) -> float | None:
    text = _text(folder / name).strip()
    return float(text) if text.lstrip("-").isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
