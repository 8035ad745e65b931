"""`up`: the folder, the embedded operator and the files that it keeps, going on until a signal."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from loadgate.plan import Targets
from loadgate.report.result import ResultError
from loadgate_cli.bundle import Bundle
from loadgate_cli.diagnostics import count, render
from loadgate_cli.folder import Folder
from loadgate_cli.interrupts import Interrupts
from loadgate_cli.keeping import Keeper
from loadgate_cli.outputs import OutputError
from loadgate_cli.terminal import Paint, say
from loadgate_cli.watching import STATE, Fingerprint, fingerprint
from loadgate_operator.cluster.port import ClusterError, Key, Kind
from loadgate_operator.embedded import Embedded, Options

_EVERY = 0.5
"""Seconds between two looks at the folder."""
_SHOWN = {Kind.LOAD_TEST, Kind.PERFORMANCE_BUDGET}


class ServiceError(Exception):
    """What keeps `up` from beginning."""


async def serve(folder: Path, address: tuple[str, int], targets: Targets) -> None:
    """Watch until a signal, then stop what runs. Raises ServiceError."""
    keeper = Keeper(folder / STATE, log)
    try:
        keeper.begin()
    except OSError as error:
        raise ServiceError(f"{error.filename or folder}: {error.strerror or error}") from error
    async with AsyncExitStack() as stack:
        logs = folder / STATE / "logs"
        operator = Embedded(Options(metrics_address=address, logs=logs, keep_logs=False, targets=targets))
        try:
            await stack.enter_async_context(operator)
        except OSError as error:
            raise ServiceError(f"--listen {address[0]}:{address[1]}: {_reason(error)}") from error
        log(f"watching {folder}; metrics at {operator.metrics_url}/metrics")
        await _go_on(operator, folder, keeper)


def _reason(error: OSError) -> str:
    """The system's own words: asyncio's repeat the address."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


async def _go_on(operator: Embedded, folder: Path, keeper: Keeper) -> None:
    stopped = asyncio.Event()

    async def stop(*, graceful: bool) -> None:
        stopped.set()
        await operator.stop(graceful=graceful)

    interrupts = Interrupts(stop, log)
    with interrupts.installed():
        keeping = asyncio.create_task(_keep(operator, keeper))
        watching = asyncio.create_task(_watch(operator, folder, keeper))
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait([keeping, watching, stopping], return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await interrupts.finished()
        for key in _keys(operator):
            await _write(operator, keeper, key)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        stopping.cancel()


async def _watch(operator: Embedded, path: Path, keeper: Keeper) -> None:
    """Apply what the folder says, whenever it says something else."""
    folder = Folder(path, operator, log, keeper.earlier)
    seen: Fingerprint | None = None
    faults = ""
    while True:
        try:
            now = fingerprint(path)
            if now != seen:
                faults = _tell_faults(await folder.sync(), faults)
                seen = now
        except (OSError, ClusterError) as error:
            faults = _tell_once(f"{path}: {error}", faults)
        await asyncio.sleep(_EVERY)


def _tell_faults(bundle: Bundle, before: str) -> str:
    """Say all faults, unless they are those that were said before."""
    found = bundle.all_faults
    if not found:
        return _tell_once("", before)
    text = render(found, bundle.texts, Paint(sys.stderr))
    return _tell_once(f"{count(found)}, the rest goes on\n{text}", before)


def _tell_once(text: str, before: str) -> str:
    if text and text != before:
        log(text)
    elif before and not text:
        log("the faults are gone")
    return text


async def _keep(operator: Embedded, keeper: Keeper) -> None:
    async for key in operator.changes():
        if key.kind in _SHOWN:
            await _write(operator, keeper, key)


async def _write(operator: Embedded, keeper: Keeper, key: Key) -> None:
    """Keep the result of an object's last run, then its status: whoever waits for the one finds the other."""
    try:
        obj = operator.read(*key)
        report = await _write_result(operator, keeper, key, obj) if obj is not None else None
        keeper.status(key, obj)
        if report is not None:
            log(f"{key.kind} {key.name}: report in {report}")
    except (OSError, OutputError, ResultError) as error:
        log(f"{key.kind} {key.name}: can't keep it: {error}")


async def _write_result(operator: Embedded, keeper: Keeper, key: Key, obj: dict[str, Any]) -> Path | None:
    run = (obj.get("status") or {}).get("run") or {}
    if not run.get("verdict") or not keeper.is_news(key, run):
        return None
    result = await operator.result(key)
    if result is None:
        return None
    keep = int((obj.get("spec") or {}).get("historyLimit", 10))
    return keeper.result(key, int(run["number"]), result, keep=keep)


def _keys(operator: Embedded) -> list[Key]:
    return [
        Key(kind, obj["metadata"]["namespace"], obj["metadata"]["name"])
        for kind in sorted(_SHOWN)
        for obj in operator.objects(kind)
    ]


def log(text: str) -> None:
    """A line with the time of day."""
    say(f"{datetime.now().astimezone():%H:%M:%S} {text}")
