"""Descriptors of .proto files: protoc makes them, in a process of its own; what it says of the files is passed on."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from loadgate.api.names import PATTERNS, PROTO_PATH
from loadgate.api.steps import MOST_PROTOS
from loadgate_runner.protoc import CPU_SECONDS, MEMORY

from .descriptors import Descriptors, DescriptorsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

PROTOC: Final = (sys.executable, "-P", "-m", "loadgate_runner.protoc")
SECONDS: Final = 30.0
"""How long it may take. A hundred files take a fraction of one."""
_BOUNDS: Final = f"{MEMORY >> 20} MiB of memory and {CPU_SECONDS} s of CPU"
_MOST_BYTES: Final = 16 << 20
_MOST_WORDS: Final = 64 << 10
_MOST_LINES: Final = 5
_LONGEST: Final = 1_000
_CHUNK: Final = 64 << 10
_NOISE: Final = re.compile(r"^(\s|WARNING: |Traceback |[IWEF]\d{4} )| warning: ")
_OWN: Final = re.compile(r"^\S*/grpc_tools/_proto/")
_MISSING: Final = re.compile(r"(.+): File not found\.")


class _Ended(NamedTuple):
    """What a process came to."""

    code: int
    output: bytes
    words: bytes


async def compiled_protos(
    files: Mapping[str, Path], *, command: Sequence[str] = PROTOC, seconds: float = SECONDS
) -> Descriptors:
    """What .proto files say, by the path under which each is imported. Raises DescriptorsError, in protoc's words."""
    _check(files)
    ended = await _run([*command, str(os.getpid()), *_arguments(files)], seconds)
    if ended.code < 0:
        how = signal.strsignal(-ended.code)
        raise DescriptorsError(f"protos: protoc was ended ({how}): it has {_BOUNDS} for all files together")
    if ended.code:
        raise DescriptorsError(f"protos: {_said(ended.words.decode(errors='replace'), files)}")
    if len(ended.output) > _MOST_BYTES:
        raise DescriptorsError(f"protos: the files come to more than {_MOST_BYTES} bytes of descriptors")
    return Descriptors.of_protoset(ended.output)


def _check(files: Mapping[str, Path]) -> None:
    if not 0 < len(files) <= MOST_PROTOS:
        raise DescriptorsError(f"protos: from 1 to {MOST_PROTOS} files, not {len(files)}")
    for path, file in files.items():
        if not re.fullmatch(PROTO_PATH, path):
            raise DescriptorsError(f"protos: {path!r} must be {PATTERNS[PROTO_PATH]}")
        if os.pathsep in str(file):
            raise DescriptorsError(f"protos: {path}: protoc takes no file that has {os.pathsep!r} in its folder's name")


def _arguments(files: Mapping[str, Path]) -> list[str]:
    places = [f"-I{path}={file.absolute()}" for path, file in files.items()]
    return [*places, "--include_imports", "--descriptor_set_out=/dev/stdout", *files]


async def _run(command: Sequence[str], seconds: float) -> _Ended:
    async with _pipe() as (reader, writer):
        process = await _start(command, writer)
        try:
            async with asyncio.timeout(seconds):
                reading = _read(reader, _MOST_BYTES + 1), _read(process.stderr, _MOST_WORDS)
                output, words = await asyncio.gather(*reading)
                return _Ended(await process.wait(), output, words)
        except TimeoutError:
            raise DescriptorsError(f"protos: protoc took longer than {seconds:g} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()


@asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """A pipe in truth: uvloop gives children sockets, which can't be opened by a name, as protoc opens its output."""
    read, write = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb", buffering=0)
    )
    try:
        yield reader, write
    finally:
        transport.close()


async def _start(command: Sequence[str], output: int) -> asyncio.subprocess.Process:
    """Start a process that has the output, which isn't ours any longer."""
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",  # where no file has a path that others are imported by
            env={name: value for name, value in os.environ.items() if not name.startswith("LOADGATE_")},
            start_new_session=True,  # a terminal's Ctrl-C is ours to act on
        )
    except OSError as fault:
        raise DescriptorsError(f"protos: protoc can't be started: {fault.strerror}") from fault
    finally:
        os.close(output)


async def _read(stream: asyncio.StreamReader | None, most: int) -> bytes:
    """The first bytes of a stream, which is read to its end."""
    read = bytearray()
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        read += chunk[: most - len(read)]
    return bytes(read)


def _said(words: str, files: Mapping[str, Path]) -> str:
    """What protoc says, short, on one line and by the paths that imports have; what is missing first."""
    lines = [_by_import(line, files) for line in words.splitlines() if not _NOISE.search(line)]
    missing = [found[1] for line in lines if (found := _MISSING.fullmatch(line))]
    told = [f"{path} isn't among them, which others import: add it" for path in missing]
    told += [line for line in lines if not _MISSING.fullmatch(line)]
    return "; ".join(list(dict.fromkeys(told))[:_MOST_LINES])[:_LONGEST] or "protoc fails, and doesn't say why"


def _by_import(line: str, files: Mapping[str, Path]) -> str:
    """A line about the file on a disk, as one about what is imported."""
    for path, file in files.items():
        if line.startswith(f"{file.absolute()}:"):
            return path + line.removeprefix(str(file.absolute()))
    return _OWN.sub("", line)
