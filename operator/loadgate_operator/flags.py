"""The operator's command line: each flag is also an environment variable, `--runner-image` LOADGATE_RUNNER_IMAGE."""

from __future__ import annotations

import argparse
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import loadgate
from loadgate.plan import TargetRuleError, Targets
from loadgate_operator.manifests.job import RunnerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_YES = {"1", "true", "yes", "on"}


@dataclass(frozen=True, kw_only=True)
class Flags:
    """How this operator is to work."""

    namespaces: tuple[str, ...] = ()
    """Those whose LoadTests are run; none: all, which needs rights in the whole cluster."""
    runner_image: str = RunnerSettings.image
    runner_defaults: str = ""
    """A file with what runners' pods are where their test says nothing else; read once, at the start."""
    targets: Targets = field(default_factory=Targets)
    """Where load may go."""
    listen: tuple[str, int] = ("0.0.0.0", 8080)  # noqa: S104 - a pod is asked for its metrics from outside
    leader_election: bool = False
    leader_election_namespace: str = ""
    identity: str = ""
    log_format: str = "text"
    log_level: str = "info"


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Flags:
    """The flags, which go before the environment. Exits with 2 where one is wrong, as argparse does."""
    parser = _parser(environment)
    given = parser.parse_args(arguments)
    try:
        targets = Targets(given.allowed_target)
    except TargetRuleError as error:
        parser.error(f"argument --allowed-target: {error}")
    return Flags(
        namespaces=tuple(dict.fromkeys(given.namespace)),
        runner_image=given.runner_image,
        runner_defaults=given.runner_defaults,
        targets=targets,
        listen=given.listen,
        leader_election=given.leader_election,
        leader_election_namespace=given.leader_election_namespace,
        identity=given.identity,
        log_format=given.log_format,
        log_level=given.log_level,
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    def variable(flag: str, otherwise: str = "") -> str:
        return environment.get("LOADGATE_" + flag.strip("-").replace("-", "_").upper(), otherwise)

    parser = argparse.ArgumentParser(
        "loadgate-operator",
        description="Runs the LoadTests of a Kubernetes cluster and judges them by their budgets.",
        epilog="Each flag may be given as an environment variable too, such as LOADGATE_RUNNER_IMAGE; lists by commas.",
    )
    parser.add_argument("--version", action="version", version=loadgate.__version__)
    for flag, text in (
        ("--namespace", "run the LoadTests of this namespace (may be repeated; without it: of all)"),
        (
            "--allowed-target",
            "a host, *.domain, address or CIDR that load may go to (may be repeated; without it: any)",
        ),
    ):
        listed = [one.strip() for one in variable(flag).split(",") if one.strip()]
        parser.add_argument(flag, action=_Listed, default=listed, metavar="NAME", help=text)
    for flag, text, otherwise in (
        ("--runner-image", "the image of runner pods", RunnerSettings.image),
        (
            "--runner-defaults",
            "a YAML file with what runner pods have where their test says nothing else, as in spec.runners",
            "",
        ),
        ("--leader-election-namespace", "where the Lease is (default: the operator's own)", ""),
        ("--identity", "this operator's name in the Lease (default: the host's)", _host()),
    ):
        parser.add_argument(flag, default=variable(flag, otherwise), help=text)
    parser.add_argument(
        "--listen",
        type=address,
        default=variable("--listen", ":8080"),
        help="where /metrics, /healthz and /readyz are (default :8080)",
    )
    parser.add_argument(
        "--leader-election",
        action=argparse.BooleanOptionalAction,
        default=variable("--leader-election").lower() in _YES,
        help="work only while holding a Lease, so that a second operator can stand by",
    )
    for flag, choices, otherwise in (
        ("--log-format", ("text", "json"), "text"),
        ("--log-level", ("debug", "info", "warning", "error"), "info"),
    ):
        parser.add_argument(flag, choices=choices, default=variable(flag, otherwise))
    return parser


class _Listed(argparse.Action):
    """A flag that may be repeated; the first one given replaces what the environment says."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - the base class's signature
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,  # noqa: ARG002 - the base class's signature
    ) -> None:
        given = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if given is self.default else [*given, values])


def address(text: str) -> tuple[str, int]:
    """`:8080`, `127.0.0.1:8080` or `[::1]:8080`. Raises argparse.ArgumentTypeError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"not an address like :8080 or 127.0.0.1:8080: {text!r}")
    return (host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - a pod is asked for its metrics from outside


def _host() -> str:
    return os.environ.get("HOSTNAME") or socket.gethostname()
