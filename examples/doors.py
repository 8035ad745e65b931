"""Three doors for the examples of authentication: a token's, a signature's and a digest's. `python -m doors`.

Each checks by itself what comes, with nothing but hashes: what a service behind them would leave to its gateway.
"""

import argparse
import hashlib
import hmac
import re
import secrets
import time
from base64 import b64encode
from urllib.parse import parse_qsl, quote

from aiohttp import web

KEY = "examples-only"
USER = "load"
LIFE = 20
"""Seconds that a token lives."""
USES = 200
"""Requests that a nonce is good for."""

TOKENS = web.AppKey("tokens", dict[str, float])
NONCES = web.AppKey("nonces", dict[str, int])


async def token(request: web.Request) -> web.Response:
    """Give a token for the client's credentials (RFC 6749, 4.4)."""
    client = "Basic " + b64encode(f"{USER}:{KEY}".encode()).decode()
    form = await request.post()
    if request.headers.get("Authorization") != client or form.get("grant_type") != "client_credentials":
        return web.json_response({"error": "invalid_client"}, status=401)
    value = secrets.token_urlsafe(16)
    request.app[TOKENS][value] = time.monotonic() + LIFE
    return web.json_response({"access_token": value, "token_type": "Bearer", "expires_in": LIFE})


async def orders(request: web.Request) -> web.Response:
    """Let in who has a token that lives."""
    value = request.headers.get("Authorization", "").removeprefix("Bearer ")
    lives = request.app[TOKENS].get(value, 0) > time.monotonic()
    return web.json_response({"orders": [1, 2, 3]}, status=200 if lives else 401)


async def items(request: web.Request) -> web.Response:
    """Let in who has signed the request with our key, as AWS's gateways do."""
    own = request.headers.get("Authorization", "")
    found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(.*?)/(.*), SignedHeaders=(.*), Signature=(.*)", own)
    if found is None or not hmac.compare_digest(found[4], signature(request, await request.read(), found[2], found[3])):
        return web.json_response({"message": "Forbidden"}, status=403)
    return web.json_response({"by": found[1], "items": []})


def signature(request: web.Request, body: bytes, scope: str, names: str) -> str:
    """What a request's signature has to be (AWS Signature Version 4)."""
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(request.query_string, keep_blank_values=True)
    )
    lines = "".join(f"{name}:{request.headers[name]}\n" for name in names.split(";"))
    query = "&".join(f"{name}={value}" for name, value in pairs)
    path = quote(request.raw_path.partition("?")[0], safe="/~")
    canonical = "\n".join([request.method, path, query, lines, names, hashlib.sha256(body).hexdigest()])
    told = (
        f"AWS4-HMAC-SHA256\n{request.headers['X-Amz-Date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    )
    key = f"AWS4{KEY}".encode()
    for part in (*scope.split("/"), told):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


async def files(request: web.Request) -> web.Response:
    """Let in who answers our challenge (RFC 7616)."""
    nonces = request.app[NONCES]
    found = re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]*))', request.headers.get("Authorization", ""))
    given = {name: quoted or bare for name, quoted, bare in found}
    nonce, stale = given.get("nonce", ""), ""
    if given and hmac.compare_digest(given.get("response", ""), proof(request, given)):
        if 0 < nonces.get(nonce, 0) <= USES:
            nonces[nonce] += 1
            return web.Response(text="a file's text")
        stale = ", stale=true"
    nonces[nonce := secrets.token_urlsafe(12)] = 1
    challenge = f'Digest realm="files", nonce="{nonce}", qop="auth", algorithm=SHA-256{stale}'
    return web.Response(status=401, headers={"WWW-Authenticate": challenge})


def proof(request: web.Request, given: dict[str, str]) -> str:
    """What a request's response to its challenge has to be."""

    def sha(*parts: str) -> str:
        return hashlib.sha256(":".join(parts).encode()).hexdigest()

    counted = (given.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
    return sha(sha(USER, "files", KEY), *counted, sha(request.method, request.raw_path))


def build() -> web.Application:
    """All three doors."""
    app = web.Application()
    app[TOKENS], app[NONCES] = {}, {}
    app.router.add_post("/oauth2/token", token)
    app.router.add_get("/orders", orders)
    app.router.add_route("*", "/items{rest:.*}", items)
    app.router.add_get("/files{rest:.*}", files)
    return app


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="doors", description="Doors for tokens, signatures and digests.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8083, help="port (default: %(default)s)")
    arguments = parser.parse_args()
    web.run_app(build(), host=arguments.host, port=arguments.port, access_log=None)


if __name__ == "__main__":
    main()
