"""`loadgate logs`."""

from __future__ import annotations

import click

from loadgate.control import LOG_PREFIX
from loadgate_cli import remote


@click.command()
@click.argument("name")
@remote.options
def command(name: str, place: remote.Place) -> None:
    """Print the runners' logs of a test in a cluster.

    Those of its latest run, one pod after another, as long as its pods are there.
    """
    remote.ask(_print(place, name))


async def _print(place: remote.Place, name: str) -> None:
    from loadgate_operator.cluster.port import Kind  # noqa: PLC0415 - not needed for --help
    from loadgate_operator.manifests.names import INDEX_LABEL, RUN_LABEL  # noqa: PLC0415 - as above

    async with remote.connected(place) as cluster:
        run = ((await cluster.test(name)).get("status") or {}).get("run")
        if not run:
            raise remote.RemoteError(f"LoadTest {name!r} has no run yet")
        pods = (await cluster.read(Kind.POD, labels={RUN_LABEL: run["id"]}))["items"]
        if not pods:
            raise remote.RemoteError(f"the pods of run {run['id']!r} are gone; `loadgate report {name}` has its result")
        for pod in sorted(pods, key=lambda pod: int(pod["metadata"]["labels"].get(INDEX_LABEL, 0))):
            click.echo(f"==> {pod['metadata']['name']} <==")
            text = await cluster.fetch(Kind.POD, pod["metadata"]["name"], part="log")
            for line in text.decode(errors="replace").splitlines():
                click.echo(_shown(line))


def _shown(line: str) -> str:
    """The line; the last snapshot, which is for an operator that was away, only by its size."""
    if not line.startswith(LOG_PREFIX):
        return line
    return f"{LOG_PREFIX}{len(line) - len(LOG_PREFIX)} characters, for an operator that was away"
