"""Where the API server is and who we are to it: from KUBECONFIG, or from the pod that we run in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgate_operator.cluster.kubernetes.credentials import EVERY, TOKEN, Credentials, UnreadableError, token_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_IN_CLUSTER = "KUBERNETES_SERVICE_HOST"


class ConnectionFaultError(Exception):
    """There is no API server to be found, or the way to it is described wrongly."""


@dataclass(frozen=True)
class Connection:
    """A client's configuration (of `kubernetes.aio`), and the namespace that it speaks of where none is named.

    `source` is where the configuration's credentials are from, if they may change.
    """

    configuration: Any
    namespace: str
    source: Credentials | None = None

    def doubt(self) -> None:
        """The server doesn't know us by what we said."""
        if self.source is not None:
            self.source.doubt()

    async def credentials(self) -> dict[str, Any]:
        """The same way to the server, as kopf's `ConnectionInfo` takes it; tokens are read anew, since it asks for
        this when it begins, and where the server has refused what it had.
        """
        config = self.configuration
        if self.source is not None:
            await self.source.read(config)
        said = str(config.api_key.get("BearerToken") or config.api_key.get("authorization") or "")
        return {
            "server": config.host,
            "ca_path": config.ssl_ca_cert,
            "insecure": not config.verify_ssl,
            "certificate_path": config.cert_file,
            "private_key_path": config.key_file,
            "token": said.removeprefix("bearer ").removeprefix("Bearer ").strip() or None,
            "default_namespace": self.namespace,
        }


async def connect(kubeconfig: str | None = None, context: str | None = None) -> Connection:
    """By the file that is given, else by KUBECONFIG, else as the pod that we are, else by ~/.kube/config.

    `context` names one of the file's contexts; without it the file's current one is meant.

    Raises ConnectionFaultError.
    """
    # Imported here, since it takes a second that `loadgate-operator --help` doesn't need.
    from kubernetes.aio import config  # noqa: PLC0415
    from kubernetes.aio.client import Configuration  # noqa: PLC0415
    from kubernetes.aio.config import ConfigException  # noqa: PLC0415

    configuration = Configuration()
    # Retries are ours: they must know which failures may be repeated, and how long there is left.
    configuration.retries = None
    # Given each time, since the client keeps what it found when it was first imported.
    given = kubeconfig or os.environ.get("KUBECONFIG") or None
    try:
        if _IN_CLUSTER in os.environ and given is None and context is None:
            config.load_incluster_config(client_configuration=configuration, try_refresh_token=False)  # type: ignore[no-untyped-call]
            return _connection(configuration, _own_namespace(), Credentials(token_of(TOKEN), EVERY))
        await config.load_kube_config(given, context, client_configuration=configuration)  # type: ignore[no-untyped-call]
        contexts, active = config.list_kube_config_contexts(given)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise ConnectionFaultError(f"no way to an API server: {error}") from error
    chosen = next((each for each in contexts if each["name"] == context), active)
    namespace = (chosen.get("context") or {}).get("namespace") or "default"
    return _connection(configuration, namespace, Credentials(_again(given, context)))


def _connection(configuration: Any, namespace: str, source: Credentials) -> Connection:
    configuration.refresh_api_key_hook = source
    return Connection(configuration, namespace, source)


def _again(kubeconfig: str | None, context: str | None) -> Callable[[Any], Awaitable[None]]:
    """Loads the file once more: a program that it names may have another token by now, and so may the file itself."""

    async def load(configuration: Any) -> None:
        from kubernetes.aio import config  # noqa: PLC0415 - see above
        from kubernetes.aio.config import ConfigException  # noqa: PLC0415

        try:
            await config.load_kube_config(kubeconfig, context, client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise UnreadableError(str(error)) from error

    return load


def _own_namespace() -> str:
    try:
        return Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text(encoding="utf-8").strip()
    except OSError:
        return "default"
