"""What the kernel lets this process have: CPU quota, throttling, memory and its limit of its control group, v2 or v1.

Files and their meaning: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

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
        return min((limit for folder in self.memory if (limit := _limit(folder))), default=0)

    def charged(self) -> int:
        """Bytes that count against that limit, as the kubelet counts them; 0 when there is no limit.

        It is what the kernel charges the group, with sockets' buffers and shared pages once, less the cached files
        that it gives up before it ends anyone.
        """
        folder = min((folder for folder in self.memory if _limit(folder)), key=_limit, default=None)
        if folder is None:
            return 0
        charged = _number(folder, "memory.current") or _number(folder, "memory.usage_in_bytes") or 0
        stat = _pairs(folder / "memory.stat")
        # v1 has a group's own pages by that name, and those of the groups within it too by the other.
        return max(0, int(charged) - stat.get("total_inactive_file", stat.get("inactive_file", 0)))

    def oom_kills(self) -> int:
        """How many processes of our own group the kernel has ended for lack of memory; 0 where that can't be told."""
        counts = (
            _pairs(folder / name) for folder in self.memory[:1] for name in ("memory.events", "memory.oom_control")
        )
        return max((pairs.get("oom_kill", 0) for pairs in counts), default=0)

    def throttling(self) -> tuple[int, int]:
        """Periods that the innermost group with a quota has had, and in how many of them it was held back."""
        for folder in self.cpu:
            if _quota(folder) is not None:
                stat = _pairs(folder / "cpu.stat")
                return stat.get("nr_periods", 0), stat.get("nr_throttled", 0)
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


def _limit(folder: Path) -> int:
    """A group's own memory limit in bytes; 0 when it has none."""
    limit = _number(folder, "memory.max") or _number(folder, "memory.limit_in_bytes") or 0
    return int(limit) if limit < _UNLIMITED_V1 else 0


def _pairs(path: Path) -> dict[str, int]:
    """A file of names and whole numbers, one pair a line; without those that are something else."""
    lines = (line.partition(" ") for line in _text(path).splitlines())
    return {name: int(value) for name, _, value in lines if value.isdigit()}


def _number(folder: Path, name: str) -> float | None:
    text = _text(folder / name).strip()
    return float(text) if text.lstrip("-").isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
