"""Connections that the VUs of a process share in turn, as a client in production does: one has it while its request is
on it, then the next one. What a line does where connections aren't its VU's own.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from loadgate_runner.http.dial import Dialer, Phases
from loadgate_runner.http.failures import Failure, RequestFailed
from loadgate_runner.http.line import Line, unsent
from loadgate_runner.http.settings import Keeping
from loadgate_runner.http.watchdog import NEVER

if TYPE_CHECKING:
    from loadgate_runner.http.network import Network
    from loadgate_runner.http.request import Request
    from loadgate_runner.http.response import Response


class Pool:
    """At most so many lines to one origin. The one used last is lent first, as Go's net/http does, so that those which
    there is no use for grow idle. Who finds none free waits, and is served before whoever comes later. Each line has a
    dialer of its own, and so a TLS session to resume.
    """

    __slots__ = ("_dialer", "_free", "_keeping", "_lines", "_most", "_network", "_vacant", "_waiting", "members")

    def __init__(self, network: "Network", dialer: Callable[[], Dialer], keeping: Keeping | None, most: int) -> None:
        self._network = network
        self._dialer = dialer
        self._keeping = keeping
        self._most = most
        self._lines = 0
        self._free: list[Line] = []
        self._vacant: list[Line] = []
        """Free ones whose connection went."""
        self._waiting: OrderedDict[Borrower, asyncio.Future[Line]] = OrderedDict()
        self.members = 0

    @property
    def unused(self) -> bool:
        """Whether nobody takes from it, and none of its lines is lent."""
        return not self.members and not self._lines

    def take(self) -> Line | None:
        """A free line, with a connection that stands if there is one; None where all are lent."""
        while self._free:
            line = self._free.pop()
            if line.connection is not None:
                return line
            self._vacant.append(line)
        if self._vacant:
            return self._vacant.pop()
        if self._lines == self._most:
            return None
        self._lines += 1
        return Line(self._network, self._dialer(), self._keeping)

    def wait(self, borrower: "Borrower") -> asyncio.Future[Line]:
        """Where the next line that comes back will be, or a RequestFailed."""
        self._waiting[borrower] = turn = self._network.loop.create_future()
        return turn

    def forgo(self, borrower: "Borrower", turn: asyncio.Future[Line]) -> None:
        """Wait no longer; a line that has come already goes to the next one."""
        self._waiting.pop(borrower, None)
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self.put(turn.result())

    def refuse(self, borrower: "Borrower", why: RequestFailed) -> None:
        """End a wait, if it isn't over."""
        turn = self._waiting.pop(borrower, None)
        if turn is not None and not turn.done():
            turn.set_exception(why)

    def put(self, line: Line) -> None:
        """A line comes back. Where nobody waits or will come, its connection is closed."""
        while self._waiting:
            _, turn = self._waiting.popitem(last=False)
            if not turn.done():  # else its VU was stopped
                turn.set_result(line)
                return
        if self.members:
            self._free.append(line)
        else:
            line.close()
            self._lines -= 1

    def close(self) -> None:
        """Nobody will come: close what is free."""
        for line in self._free:
            line.close()
        self._lines -= len(self._free) + len(self._vacant)
        self._free.clear()
        self._vacant.clear()


class Pools:
    """All pools of a process, by what must be the same for VUs to share. `most` bounds the lines of each."""

    __slots__ = ("_by_key", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._by_key: dict[Hashable, Pool] = {}

    def join(self, key: Hashable, make: Callable[[], Pool]) -> Pool:
        """One more VU takes from a pool."""
        pool = self._by_key.get(key)
        if pool is None:
            pool = self._by_key[key] = make()
        pool.members += 1
        return pool

    def leave(self, key: Hashable, pool: Pool) -> None:
        """And one less; whoever is last closes it."""
        pool.members -= 1
        if not pool.members:
            pool.close()
            self.drop(key, pool)

    def drop(self, key: Hashable, pool: Pool) -> None:
        """Forget a pool, once nobody will take from it and all that was lent is back."""
        if pool.unused and self._by_key.get(key) is pool:
            del self._by_key[key]


class Borrower:
    """A VU's part in a pool: it has a line for as long as a request is on it. `make` gives a new pool, `whom` says in
    words to whom its connections are.
    """

    __slots__ = ("_key", "_lent", "_line", "_make", "_pool", "_pools", "_waits", "_whom", "kept")

    def __init__(self, line: Line, pools: Pools, key: Hashable, make: Callable[[], Pool], whom: str) -> None:
        self._line = line
        self._whom = whom
        self._pools = pools
        self._key = key
        self._make = make
        self._pool: Pool | None = None
        self._lent: Line | None = None
        self._waits = False
        self.kept = False
        """Whether the last answer left a connection that can be used again."""

    async def exchange(self, request: "Request", wire: bytes, started: int, total_at: int) -> "Response":
        """Send a request on a line that is free, waiting for one where needed (see Line.exchange)."""
        pool = self._pool
        if pool is None:
            pool = self._pool = self._pools.join(self._key, self._make)
        lent = pool.take()
        if lent is None:
            try:
                lent = await self._wait(pool, total_at)
            except RequestFailed as failed:
                return unsent(failed, Phases(), request, started, self._line.network.clock())
        self._lent = lent
        try:
            response = await lent.exchange(request, wire, started, total_at)
            if not response.plain:
                response = await lent.again(response, wire, total_at)
        finally:
            self._lent = None
            self.kept = lent.connection is not None
            pool.put(lent)
            if not pool.members:
                self._pools.drop(self._key, pool)
        return response

    async def _wait(self, pool: Pool, total_at: int) -> Line:
        """Wait for a line, for as long as the request may take. Raises RequestFailed."""
        turn = pool.wait(self)
        self._waits = True
        self._line.watch(total_at)
        try:
            return await turn
        except (asyncio.CancelledError, GeneratorExit):
            pool.forgo(self, turn)
            raise
        finally:
            self._waits = False
            self._line.deadline = NEVER

    def expire(self) -> None:
        """The request that waits is out of time."""
        pool = self._pool
        if pool is not None and self._waits:
            pool.refuse(self, RequestFailed(Failure.TIMEOUT, f"no connection to {self._whom} was free in time"))

    def close(self) -> None:
        """Take from the pool no more. A request under way fails, and one that waits."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        if self._lent is not None:
            self._lent.close()
        pool.refuse(self, RequestFailed(Failure.RESET, "its virtual user's connections were closed"))
        self._pools.leave(self._key, pool)
