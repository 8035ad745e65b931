"""The routes of the live prices, over aiohttp."""

from aiohttp import web

from live.graph import operate


def build() -> web.Application:
    """The application, ready to be served."""
    app = web.Application(client_max_size=64 * 1024)
    app.add_routes([web.post("/graphql", graphql)])
    return app


async def graphql(request: web.Request) -> web.Response:
    """One GraphQL operation. As the specification of GraphQL over HTTP has it, `application/json` is always a 200."""
    asked = await request.json()
    return web.json_response(await operate(asked["query"], asked.get("variables"), asked.get("operationName")))
