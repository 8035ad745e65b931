"""The operator's own HTTP: `/metrics` for Prometheus, `/healthz` for whoever restarts what is stuck, `/readyz`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@contextlib.asynccontextmanager
async def serving(
    address: tuple[str, int],
    render: Callable[[], bytes],
    healthy: Callable[[], bool],
    ready: Callable[[], bool] | None = None,
) -> AsyncIterator[str]:
    """Serve until the block ends; gives the base URL. Raises OSError where the address can't be had.

    Who is healthy is ready, where nothing else is said.
    """

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def health(_request: web.Request) -> web.Response:
        # 503 when reconciles don't flow: a process that only answers HTTP is of no use.
        return web.Response(text="ok\n") if healthy() else web.Response(text="reconciles are stuck\n", status=503)

    async def readiness(_request: web.Request) -> web.Response:
        yes = healthy() if ready is None else ready()
        return web.Response(text="ok\n") if yes else web.Response(text="not ready yet\n", status=503)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", health)
    app.router.add_get("/readyz", readiness)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        host, port = address
        await web.TCPSite(runner, host, port).start()
        host, port = runner.addresses[0][:2]
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    finally:
        await runner.cleanup()
