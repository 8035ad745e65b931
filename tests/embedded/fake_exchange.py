"""Exchanges that a function answers, in place of a network."""

import asyncio
import contextlib
from types import SimpleNamespace
from urllib.parse import urlsplit

from loadgate_operator.collect.exchange import Answer


async def stream(*chunks):
    """A body, chunk by chunk."""
    for chunk in chunks:
        yield chunk


def reply(status, content=b"", encoding="identity"):
    """An answer whose body has yet to be read, as one from a network has."""
    return Answer(status, encoding, stream(content))


def exchange_of(handler):
    """An exchange: `handler` gets a request (method, url and its parts, headers, body) and gives an answer."""

    @contextlib.asynccontextmanager
    async def exchange(method, url, headers, body):
        where = urlsplit(url)
        request = SimpleNamespace(method=method, url=url, host=where.hostname, path=where.path, query=where.query)
        request.headers, request.body = headers, body
        answer = handler(request)
        yield await answer if asyncio.iscoroutine(answer) else answer

    return exchange
