"""Our HTTP/1.1 client: what a VU sends requests with, close to the least that the kernel allows.

Once per process: ``network = Network()``; once per VU: ``client = Client(network)``. Steps are compiled once:

    origin, path = locate("http://shop.default.svc/products")
    request = prepare("GET", origin, path, headers=[("Accept", "application/json")], needs_body=True)

and sent many times, with nothing interpreted:

    response = await client.send(request)                              # all of it is bytes already
    response = await client.send(request, path=encode_path("/products/7"))
    response = await client.send(request, headers=header_line("Authorization", bearer(token)), body=json_body(cart)[1])
    for one in (*response.hops, response):                             # redirects are requests of their own
        record(one.status, one.error, one.duration, one.waiting, …)

`send` never raises for what a target does: `response.error` is None or a `Failure`. A closure that needs headers,
cookies, body or text says so in `prepare`; the rest of the answer is only counted.
"""

from loadgate_runner.http.auth import basic, bearer
from loadgate_runner.http.bodies import (
    BINARY,
    FORM,
    JSON,
    TEXT,
    Part,
    form_body,
    json_body,
    multipart_body,
    multipart_content,
    multipart_type,
    new_boundary,
    text_body,
)
from loadgate_runner.http.client import Client
from loadgate_runner.http.connect import Sources
from loadgate_runner.http.content import Content, StoredFile, Unreadable
from loadgate_runner.http.cookies import CookieJar
from loadgate_runner.http.events import Event
from loadgate_runner.http.failures import ANSWERED, Failure
from loadgate_runner.http.gate import Gate
from loadgate_runner.http.headers import Headers
from loadgate_runner.http.listen import MEDIA_TYPE, Wish, listen
from loadgate_runner.http.network import Network
from loadgate_runner.http.request import Request, Signer, header_line, prepare
from loadgate_runner.http.response import Response
from loadgate_runner.http.settings import TLS, Dns, Keeping, Limits, Options, Protocol, Proxy, Rates, Timeouts
from loadgate_runner.http.shortage import Shortage
from loadgate_runner.http.stream import Opening
from loadgate_runner.http.tls import tls_fault
from loadgate_runner.http.urls import Origin, encode_component, encode_path, encode_query, locate
from loadgate_runner.http.websocket import Received, Socket, converse

__all__ = [
    "ANSWERED",
    "BINARY",
    "FORM",
    "JSON",
    "MEDIA_TYPE",
    "TEXT",
    "TLS",
    "Client",
    "Content",
    "CookieJar",
    "Dns",
    "Event",
    "Failure",
    "Gate",
    "Headers",
    "Keeping",
    "Limits",
    "Network",
    "Opening",
    "Options",
    "Origin",
    "Part",
    "Protocol",
    "Proxy",
    "Rates",
    "Received",
    "Request",
    "Response",
    "Shortage",
    "Signer",
    "Socket",
    "Sources",
    "StoredFile",
    "Timeouts",
    "Unreadable",
    "Wish",
    "basic",
    "bearer",
    "converse",
    "encode_component",
    "encode_path",
    "encode_query",
    "form_body",
    "header_line",
    "json_body",
    "listen",
    "locate",
    "multipart_body",
    "multipart_content",
    "multipart_type",
    "new_boundary",
    "prepare",
    "text_body",
    "tls_fault",
]
