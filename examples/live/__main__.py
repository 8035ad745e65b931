"""`python -m live`: serve the prices until a signal. Needs aiohttp, graphql-core, grpcio and grpcio-reflection."""

import argparse
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from live import market
from live.app import build


async def _grpc(host: str, port: int, _app: web.Application) -> AsyncIterator[None]:
    """Serve gRPC as long as the application runs."""
    server = await market.serve(host, port)
    yield
    await server.stop(grace=None)


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="live", description="Prices over GraphQL, events, WebSocket and gRPC.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8081, help="port (default: %(default)s)")
    parser.add_argument("--grpc-port", type=int, default=8082, help="port of gRPC (default: %(default)s)")
    arguments = parser.parse_args()
    app = build()
    app.cleanup_ctx.append(partial(_grpc, arguments.host, arguments.grpc_port))
    web.run_app(app, host=arguments.host, port=arguments.port, access_log=None)


if __name__ == "__main__":
    main()
