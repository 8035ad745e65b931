"""One of several operators works, and the others stand by: who holds a Lease leads, for as long as it renews it.

No two clocks are compared: a Lease that hasn't changed for its duration, on the watcher's own clock, is free.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from loadgate_operator.cluster.kubernetes.api import Call, NotFoundError
from loadgate_operator.cluster.port import ClusterError, ConflictError

if TYPE_CHECKING:
    from loadgate_operator.cluster.kubernetes import Api

logger = logging.getLogger(__name__)

_RESOURCE = "leases"


@dataclass(frozen=True, kw_only=True)
class LeaseSettings:
    """Which Lease, and its times in seconds."""

    namespace: str
    identity: str
    name: str = "loadgate-operator"
    duration: float = 15.0
    """A Lease that wasn't renewed for so long may be taken by another."""
    renewal: float = 10.0
    """A leader that couldn't renew for so long stops, well before another may begin."""
    retry: float = 2.0
    """Between two looks or renewals."""


class Leader:
    """This process' claim to a Lease."""

    def __init__(self, api: Api, settings: LeaseSettings) -> None:
        self._api = api
        self._settings = settings
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{settings.namespace}/leases"
        self._seen: tuple[str, float] = ("", 0.0)
        self.leads = False
        """Whether this process holds the Lease."""

    async def win(self) -> None:
        """Wait until the Lease is ours."""
        while not await self._attempt():  # noqa: ASYNC110 - the API server is what is waited for
            await asyncio.sleep(self._settings.retry)
        self.leads = True
        logger.info("%s leads", self._settings.identity)

    async def keep(self) -> None:
        """Renew it; returns when it is lost."""
        now = asyncio.get_running_loop().time
        renewed = now()
        while True:
            await asyncio.sleep(self._settings.retry)
            try:
                async with asyncio.timeout(max(0.0, renewed + self._settings.renewal - now())):
                    held = await self._attempt()
            except TimeoutError:
                held = False
            if held:
                renewed = now()
            elif now() - renewed >= self._settings.renewal or self._taken():
                self.leads = False
                logger.error("%s doesn't lead any more", self._settings.identity)
                return

    async def release(self) -> None:
        """Let another take over at once."""
        if not self.leads:
            return
        self.leads = False
        try:
            async with asyncio.timeout(self._settings.retry):
                lease = await self._read()
                if lease is not None and lease["spec"].get("holderIdentity") == self._settings.identity:
                    await self._write(lease, "")
        except (ClusterError, TimeoutError) as error:
            logger.warning("the Lease couldn't be given back: %s", error)

    async def _attempt(self) -> bool:
        """Take or renew the Lease, if it is ours or free. False also where the server doesn't answer."""
        try:
            lease = await self._read()
            if lease is None:
                await self._create()
                return True
            if not self._is_ours_or_free(lease):
                return False
            await self._write(lease, self._settings.identity)
        except ConflictError:
            return False
        except ClusterError as error:
            logger.warning("the Lease can't be had: %s", error)
            return False
        return True

    def _is_ours_or_free(self, lease: dict[str, Any]) -> bool:
        holder = lease.get("spec", {}).get("holderIdentity") or ""
        version, now = lease["metadata"]["resourceVersion"], asyncio.get_running_loop().time()
        if holder in ("", self._settings.identity):
            self._seen = ("", now)
            return True
        if self._seen[0] != version:
            self._seen = (version, now)
        return now - self._seen[1] > float(lease["spec"].get("leaseDurationSeconds") or self._settings.duration)

    def _taken(self) -> bool:
        """Whether the last look showed another holder."""
        return self._seen[0] != ""

    async def _read(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self._api.ask(
                Call(verb="GET", path=f"{self._path}/{self._settings.name}", resource=_RESOURCE)
            )
        except NotFoundError:
            return None
        return found

    async def _create(self) -> None:
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._settings.name, "namespace": self._settings.namespace},
            "spec": self._spec({}, self._settings.identity),
        }
        await self._api.ask(Call(verb="POST", path=self._path, resource=_RESOURCE, body=lease))

    async def _write(self, lease: dict[str, Any], holder: str) -> None:
        """Its version goes along, so that of two who want it one is refused."""
        wanted = {**lease, "spec": self._spec(lease.get("spec") or {}, holder)}
        await self._api.ask(
            Call(verb="PUT", path=f"{self._path}/{self._settings.name}", resource=_RESOURCE, body=wanted)
        )

    def _spec(self, before: dict[str, Any], holder: str) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        another = before.get("holderIdentity") != holder
        return {
            **before,
            "holderIdentity": holder,
            "leaseDurationSeconds": int(self._settings.duration),
            "renewTime": now,
            "acquireTime": now if another else before.get("acquireTime", now),
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (1 if another and before else 0),
        }
