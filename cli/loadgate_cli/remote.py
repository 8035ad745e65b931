"""What commands ask of a cluster: where it is, the tests in it, and words for whatever stands in the way.

The client takes a second to import, so it is imported when a command asks, and never for `--help`.
"""

from __future__ import annotations

import asyncio
import functools
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from loadgate_cli.exits import Exit
from loadgate_cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from loadgate_operator.cluster.kubernetes import Api

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_T = TypeVar("_T")
_NO_CRD = "the server could not find the requested resource"


class RemoteError(Exception):
    """The cluster can't be asked, or it says no: the message tells what to do."""


class MissingError(RemoteError):
    """The cluster answers, and has no such object."""


@dataclass(frozen=True)
class Place:
    """Which cluster and namespace is meant, as kubectl's flags say it."""

    kubeconfig: str | None
    context: str | None
    namespace: str | None


@dataclass(frozen=True)
class Remote:
    """A cluster that answers, and the namespace that is meant in it."""

    api: Api
    namespace: str

    def everywhere(self) -> Remote:
        """The same cluster, with all its namespaces meant."""
        return replace(self, namespace="")

    async def test(self, name: str) -> dict[str, Any]:
        """The LoadTest of that name. Raises RemoteError."""
        from loadgate_operator.cluster.port import Kind  # noqa: PLC0415 - see the module

        found: dict[str, Any] = await self.read(Kind.LOAD_TEST, name)
        return found

    async def read(self, kind: str, name: str = "", labels: dict[str, str] | None = None) -> Any:
        """One object, or the list of all of a kind with these labels. Raises RemoteError."""
        import orjson  # noqa: PLC0415 - see the module

        return orjson.loads(await self.fetch(kind, name, labels=labels))

    async def fetch(self, kind: str, name: str = "", *, part: str = "", labels: dict[str, str] | None = None) -> bytes:
        """What the server has at that place, as it is. Raises RemoteError."""
        from loadgate_operator.cluster.kubernetes import paths  # noqa: PLC0415 - see the module
        from loadgate_operator.cluster.kubernetes.api import Call, NotFoundError  # noqa: PLC0415 - see the module
        from loadgate_operator.cluster.port import ClusterError, Key, Kind, RefusedError  # noqa: PLC0415 - see the module

        what = Kind(kind)
        path = paths.single(Key(what, self.namespace, name), part) if name else paths.collection(what, self.namespace)
        try:
            return await self.api.text(
                Call(verb="GET", path=path, resource=paths.PLURALS[what], query=paths.selector(labels))
            )
        except NotFoundError as error:
            if _NO_CRD in str(error) or "404 page not found" in str(error):
                raise RemoteError(
                    "the cluster knows no LoadTest: install the chart, or `loadgate crds | kubectl apply -f -`"
                ) from error
            raise MissingError(
                f"there is no {kind} {name!r} in namespace {self.namespace!r}; see `loadgate get`"
            ) from error
        except RefusedError as error:
            raise RemoteError(f"the cluster refuses: {error}") from error
        except ClusterError as error:
            if ": 401:" in str(error):
                raise RemoteError(f"the cluster doesn't accept these credentials: {error}") from error
            raise RemoteError(f"the cluster doesn't answer: {error}") from error


@asynccontextmanager
async def connected(place: Place) -> AsyncIterator[Remote]:
    """A way to the cluster. Raises RemoteError."""
    from loadgate_operator.cluster.kubernetes import (  # noqa: PLC0415 - see the module
        Api,
        ApiLimits,
        ConnectionFaultError,
        connect,
    )

    try:
        connection = await connect(place.kubeconfig, place.context)
    except ConnectionFaultError as error:
        raise RemoteError(f"{error}; set KUBECONFIG, or give --kubeconfig") from error
    async with Api(connection, ApiLimits(tries=2, total=15.0)) as api:
        yield Remote(api, place.namespace or connection.namespace)


def options(function: Callable[..., None]) -> Callable[..., None]:
    """`-n`, `--context` and `--kubeconfig` as kubectl has them; the command is given the Place that they come to."""

    @click.option("-n", "--namespace", help="The namespace, if not the context's own.")
    @click.option("--context", help="The kubeconfig's context, if not its current one.")
    @click.option("--kubeconfig", type=click.Path(), help="The kubeconfig, if not the one of KUBECONFIG.")
    @functools.wraps(function)
    def wrapped(*, namespace: str | None, context: str | None, kubeconfig: str | None, **others: Any) -> None:
        function(place=Place(kubeconfig, context, namespace), **others)

    return wrapped


def ask(work: Coroutine[Any, Any, _T]) -> _T:
    """Do it, or end the command with what stood in the way and exit code 2."""
    try:
        return asyncio.run(work)
    except RemoteError as error:
        say(str(error))
        raise SystemExit(Exit.INVALID) from error


def is_name(text: str) -> bool:
    """Whether it can only be a LoadTest's name: no such file is there."""
    return not Path(text).exists() and _NAME.fullmatch(text) is not None and not text.endswith((".zst", ".json"))


def stored_result(place: Place, name: str) -> bytes:
    """The encoded result of a test's latest run; ends the command where there is none."""
    return ask(_stored(place, name))


async def _stored(place: Place, name: str) -> bytes:
    from loadgate_operator.cluster.port import Kind  # noqa: PLC0415 - see the module
    from loadgate_operator.manifests.configs import result_bytes  # noqa: PLC0415 - see the module

    async with connected(place) as remote:
        status = (await remote.test(name)).get("status") or {}
        held = status.get("result", {}).get("configMapRef", {}).get("name")
        if not held:
            raise RemoteError(f"LoadTest {name!r} has no result yet: it is {status.get('phase', 'not yet seen')}")
        data = result_bytes(await remote.read(Kind.CONFIG_MAP, held))
    if data is None:
        raise RemoteError(f"ConfigMap {held!r} holds no result")
    return data
