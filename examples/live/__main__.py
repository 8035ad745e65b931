"""`python -m live`: serve the prices until a signal. Needs aiohttp and graphql-core."""

import argparse

from aiohttp import web

from live.app import build


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="live", description="Prices over GraphQL, events and WebSocket.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8081, help="port (default: %(default)s)")
    arguments = parser.parse_args()
    web.run_app(build(), host=arguments.host, port=arguments.port, access_log=None)


if __name__ == "__main__":
    main()
