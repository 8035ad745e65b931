"""A VU's line to one gRPC server: at most one connection, which our own dialler chose the address of."""

from __future__ import annotations

import asyncio
import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.request import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadgate_runner.http import TLS, Opening, Response
    from loadgate_runner.http import Request as Prepared
    from loadgate_runner.http.gate import SocketAddress
    from loadgate_runner.journey.ports import Sender


def _system_roots() -> str:
    """The file of the system's certificates, which other requests trust; empty where there is none."""
    paths = ssl.get_default_verify_paths()
    found = (paths.cafile, *(str(Path(paths.capath) / name) for name in ("ca-certificates.crt",) if paths.capath))
    return next((path for path in found if path and Path(path).is_file()), "")


# What grpc reads as it is loaded: trust whom the system trusts, and say nothing of its own on the log.
os.environ.setdefault("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", _system_roots())
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc  # noqa: E402 - behind the settings that it reads

_SECOND: Final = 1_000_000_000
_FIRST_TRIES: Final = 0.25  # seconds that an address gets at least while others wait behind it
_GRACE: Final = 1.0  # seconds by which grpc's own limits come behind ours
LARGEST: Final = 4 << 20
"""Bytes that a reply may have, which is what gRPC's clients have it at."""
_LONGEST: Final = 300

_READY: Final = grpc.ChannelConnectivity.READY
_FAILED: Final = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN)
_OF_TLS: Final = ("ssl", "tls", "handshake", "certificate", "verification")


def line_of(client: Sender, prepared: Prepared) -> Line:
    """The line of a VU on which a call goes, made with the first of them."""
    key = ("grpc", prepared.origin, prepared.options.tls, prepared.options.host)
    found = cast("Line | None", client.held(key))
    if found is None:
        found = Line(client.opening(prepared))
        client.hold(key, found)
    return found


class Line:
    """Used by one call at a time, and by streams that a journey holds beside it.

    A connection that broke, or is worn, gives way to a new one at the next call.
    The channel never connects again by itself, so that each connection is to an address that was looked up and judged
    for it.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._network = opening.network
        self._clock = opening.network.clock
        self._keeping = opening.request.options.keeping
        limits = opening.dialer.timeouts
        self._patience = limits.connect + (limits.tls if opening.dialer.origin.secure else 0.0)
        self._channel: Any = None
        self._callables: dict[tuple[str, str], Any] = {}
        self._calls = self._since = self._last = 0
        self.talks = 0
        """Streams under way that others' calls may come between: as long as there is one, the connection is kept."""

    @property
    def clock(self) -> Callable[[], int]:
        """The network's, in ns."""
        return self._clock

    def begin(self, prepared: Prepared) -> Response:
        """The response of a call that begins now."""
        response = self._opening.response()
        response.request, response.path = prepared, prepared.path
        return response

    def close(self) -> None:
        """Drop the connection. A call that is on it is cancelled by whoever awaits it."""
        if self._channel is not None:
            # Without a reference the channel closes itself, at once; its close() is a coroutine, and a VU's end isn't.
            self._channel = None
            self._callables.clear()
            self._network.open_connections -= 1

    async def callable(self, shape: str, path: str, response: Response, until: int) -> Any:
        """What calls a method over a connection that stands, which is seen to. Raises RequestFailed.

        `shape` is grpc's name for the kind of method, as `unary_stream`. `until` is in ns of the network's clock.
        """
        channel = await self.channel(response, until)
        key = shape, path
        found = self._callables.get(key)
        if found is None:
            found = self._callables[key] = getattr(channel, shape)(path)
        return found

    async def channel(self, response: Response, until: int) -> Any:
        """A channel whose connection stands. Raises RequestFailed; the response takes the time that it took."""
        if self._channel is not None and (self._idle_too_long() or self._channel.get_state() is not _READY):
            self.close()
        response.reused = self._channel is not None
        if self._channel is None:
            try:
                self._channel = await self._connect(response, until)
            finally:
                response.began = response.sent_at = self._clock()
            self._network.open_connections += 1
            self._calls, self._since = 0, response.began
        return self._channel

    def answered(self) -> None:
        """Hold the connection to what bounds it: called behind each call."""
        self._calls += 1
        self._last = self._clock()
        keeping = self._keeping
        if keeping is None or self.talks:
            return
        worn = keeping.requests is not None and self._calls >= keeping.requests
        if worn or (keeping.age is not None and self._last - self._since >= keeping.age * _SECOND):
            self.close()

    def _idle_too_long(self) -> bool:
        keeping = self._keeping
        idle = None if keeping is None else keeping.idle
        return idle is not None and not self.talks and self._clock() - self._last >= idle * _SECOND

    async def _connect(self, response: Response, until: int) -> Any:
        dialer = self._opening.dialer
        if dialer.fault:
            raise RequestFailed(Failure.TLS, dialer.fault)
        if dialer.proxy is not None or dialer.sources.given:
            raise RequestFailed(Failure.CONNECT, "gRPC goes through no proxy, and chooses no source address")
        began = self._clock()
        left = (until - began) / _SECOND
        looked_up: int | None = None
        try:
            async with asyncio.timeout(min(self._patience, left)) as limit:
                if dialer.path is not None:
                    dialer.gate.admit_socket(dialer.origin.host, dialer.path)
                    looked_up = self._clock()
                    return await self._connect_to(f"unix:{dialer.path}")
                addresses = await dialer.look_up()
                looked_up = self._clock()
                return await self._connect_to_one(addresses, limit.when())
        except TimeoutError as fault:
            raise RequestFailed(Failure.TIMEOUT, f"no connection to {dialer.origin.authority} in time") from fault
        finally:
            if looked_up is not None:
                response.connecting = (self._clock() - looked_up) // 1000

    async def _connect_to_one(self, addresses: Sequence[SocketAddress], until: float | None) -> Any:
        """The first address that answers. Each but the last gets an equal share of the time that is left."""
        for place, (_, address) in enumerate(addresses, start=1):
            last = place == len(addresses)
            share = None
            if not last and until is not None:
                share = max(_FIRST_TRIES, (until - self._network.loop.time()) / (len(addresses) - place + 1))
            try:
                async with asyncio.timeout(share):
                    return await self._connect_to(_written(address))
            except (RequestFailed, TimeoutError):
                if last:
                    raise
        raise RequestFailed(Failure.DNS, f"{self._opening.dialer.origin.host} has no address")

    async def _connect_to(self, target: str) -> Any:
        channel = self._make(target)
        stands = False
        try:
            await _stand(channel)
            stands = True
        finally:
            if not stands:
                await channel.close()
        return channel

    def _make(self, target: str) -> Any:
        dialer, options = self._opening.dialer, self._opening.request.options
        # Over TLS grpc demands that the certificate is for the authority too.
        own = options.tls.server_name if dialer.origin.secure else None
        authority = options.host or own or dialer.origin.authority
        pause = int((self._patience + _GRACE) * 1000)  # it isn't to try again by itself while we look why it failed
        settings = (*_SETTINGS, ("grpc.default_authority", authority), *((name, pause) for name in _PAUSES))
        if not dialer.origin.secure:
            return grpc.aio.insecure_channel(target, settings)
        name = dialer.server_name or dialer.origin.host
        return grpc.aio.secure_channel(
            target, _credentials(options.tls), (*settings, ("grpc.ssl_target_name_override", name))
        )


_SETTINGS: Final = (
    ("grpc.use_local_subchannel_pool", 1),  # a connection of one's own
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.primary_user_agent", USER_AGENT),
)
_PAUSES: Final = tuple(f"grpc.{which}_reconnect_backoff_ms" for which in ("initial", "min", "max"))


def _written(address: Any) -> str:
    """An address as grpc's targets are written."""
    host, port = address[0], address[1]
    scope = f"%{address[3]}" if len(address) > 3 and address[3] else ""
    return f"ipv6:[{host}{scope}]:{port}" if ":" in host else f"ipv4:{host}:{port}"


@lru_cache(maxsize=16)
def _credentials(tls: TLS) -> Any:
    def encoded(text: str | None) -> bytes | None:
        return None if text is None else text.encode()

    return grpc.ssl_channel_credentials(encoded(tls.ca), encoded(tls.key), encoded(tls.cert))


async def _stand(channel: Any) -> None:
    """Wait until a channel's connection stands. Raises RequestFailed where it can't."""
    state = channel.get_state(try_to_connect=True)
    while state is not _READY:
        if state in _FAILED:
            raise await _why(channel)
        await channel.wait_for_state_change(state)
        state = channel.get_state()


async def _why(channel: Any) -> RequestFailed:
    """Why there is no connection: a call on it says so, which isn't sent since there is none."""
    try:
        await channel.unary_unary("/")(b"", timeout=1)
    except grpc.aio.AioRpcError as error:
        said = " ".join((error.details() or "").split())
    else:
        said = ""
    reason = said.rpartition("last error: ")[2][-_LONGEST:] or "no connection"
    small = reason.lower()
    if "http1" in small:
        return RequestFailed(Failure.PROTOCOL, f"no gRPC server: {reason}")
    kind = Failure.TLS if any(word in small for word in _OF_TLS) else Failure.CONNECT
    return RequestFailed(kind, reason)
