"""protoc as a program of its own, within bounds: what a compiler in C++ does with users' files mustn't end a load."""

from __future__ import annotations

import resource
import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from loadgate_runner.orphan import die_with

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMORY: Final = 512 << 20
"""Bytes of address space."""
CPU_SECONDS: Final = 20


def main(arguments: Sequence[str]) -> int:
    """Run protoc for the process that is named first; the rest is protoc's."""
    parent, *rest = arguments
    die_with(int(parent))
    for what, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_AS, MEMORY)):
        resource.setrlimit(what, (most, most))
    from grpc_tools import protoc  # noqa: PLC0415 - within the bounds too

    code: int = protoc.main(["protoc", *rest, f"-I{files('grpc_tools') / '_proto'}"])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
