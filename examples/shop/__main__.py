"""`python -m shop`: serve the shop until a signal, or until the parent that holds its standard input is gone."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys

from aiohttp import web

from shop.app import Shop, build
from shop.faults import PRESETS

_BACKLOG = 4096
"""Connections that may wait: a spike opens hundreds at once, and the default of 128 would drop some of them."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="shop", description="A small web shop to aim load at.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port, 0 for any free one (default: %(default)s)")
    parser.add_argument("--fault", choices=list(PRESETS), default="none", help="start with something wrong")
    parser.add_argument(
        "--with-parent", action="store_true", help="stop when standard input closes, as it does when the parent dies"
    )
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    stop = _when_told(with_parent=arguments.with_parent)
    runner = web.AppRunner(build(Shop(faults=PRESETS[arguments.fault])), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, arguments.host, arguments.port, backlog=_BACKLOG)
        await site.start()
        host, port = runner.addresses[0][:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"shop: listening on http://{shown}:{port}", flush=True)  # noqa: T201 - whoever started it reads this line
        await stop.wait()
    finally:
        await runner.cleanup()


def _when_told(*, with_parent: bool) -> asyncio.Event:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if with_parent:
        pipe = sys.stdin.fileno()
        loop.add_reader(pipe, _on_input, loop, pipe, stop)
    return stop


def _on_input(loop: asyncio.AbstractEventLoop, pipe: int, stop: asyncio.Event) -> None:
    if not os.read(pipe, 4096):
        loop.remove_reader(pipe)
        stop.set()


def main() -> int:
    """Serve; returns the exit code."""
    arguments = _arguments()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(arguments))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        print(f"shop: cannot listen on {arguments.host}:{arguments.port}: {reason}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
