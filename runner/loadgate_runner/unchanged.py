"""Whether what a run was made of is what its runner finds: ConfigMaps can be changed, and files follow them.

A plan's own digest is in the Job, whose pods can't be told another; the files' digests are in the plan.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from loadgate.plan import Plan


def is_same(data: bytes, digest: str) -> bool:
    """Whether these are the bytes of a digest; of none, any are."""
    return not digest or sha256(data).hexdigest() == digest


def changed_files(plan: Plan, folder: Path) -> list[str]:
    """A fault for each file of the plan that isn't as it was when the run was made. One that isn't there is no such."""
    return [
        f"key {key} of ConfigMap {name} isn't what it was when the run was made: someone changed it; run the test again"
        for name, _, key in (path.partition("/") for path in sorted(plan.digests))
        if _is_changed(folder / name / key, plan.digests[f"{name}/{key}"])
    ]


def _is_changed(file: Path, digest: str) -> bool:
    try:
        return not is_same(file.read_bytes(), digest)
    except OSError:
        return False
