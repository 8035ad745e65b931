"""The CustomResourceDefinitions, made from the models: `python -m loadgate.api.crds [--check] DIR`."""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from .base import Model
from .budget import PerformanceBudgetSpec
from .loadtest import GROUP, VERSION, LoadTestSpec
from .schema import structural
from .status import BudgetStatus, LoadTestStatus

MAX_BYTES = 200_000
"""How large a CRD may be as JSON: client-side apply writes it into an annotation of at most 262,144 bytes."""

_HEADER = "# Made from core/loadgate/api by `make crds`. Changes belong there; here they are lost.\n"

_LOADTEST_COLUMNS = [
    ("Phase", "string", ".status.phase", 0, "Where it is"),
    ("Reason", "string", ".status.columns.reason", 0, "Why it is there, where the phase doesn't say it"),
    ("Runners", "string", ".status.columns.runners", 0, "Runners that are ready, of those that are wanted"),
    ("Requests/s", "string", ".status.columns.requestsPerSecond", 0, "Requests in a second: now, or on average"),
    ("p95", "string", ".status.summary.p95", 0, "95 % of the response times were at most this"),
    ("Failed", "string", ".status.summary.failedRate", 0, "The share of requests that failed"),
    ("Run", "integer", ".status.run.number", 1, "Counts this test's runs"),
    ("Budgets", "string", ".status.columns.budgets", 1, "The budgets that judge it"),
    ("Target", "string", ".spec.target.url", 1, "Where the load goes"),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Time since it was made"),
]
_BUDGET_COLUMNS = [
    ("Satisfied", "string", ".status.conditions[?(@.type=='Satisfied')].status", 0, "Whether all its tests hold it"),
    ("Reason", "string", ".status.conditions[?(@.type=='Satisfied')].reason", 0, "Why, as one word"),
    ("Enforcement", "string", ".spec.enforcement", 0, "Whether a broken limit fails the test"),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Time since it was made"),
]


def crds() -> dict[str, dict[str, Any]]:
    """Every CRD by its file's name."""
    return {
        "loadtests.yaml": _crd("LoadTest", "lt", LoadTestSpec, LoadTestStatus, _LOADTEST_COLUMNS),
        "performancebudgets.yaml": _crd(
            "PerformanceBudget", "pb", PerformanceBudgetSpec, BudgetStatus, _BUDGET_COLUMNS
        ),
    }


def _crd(
    kind: str, short: str, spec: type[Model], status: type[Model], columns: list[tuple[str, str, str, int, str]]
) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["loadgate"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(*column) for column in columns],
                    "schema": {"openAPIV3Schema": _object(kind, spec, status)},
                }
            ],
        },
    }


def _column(name: str, kind: str, path: str, priority: int, description: str) -> dict[str, Any]:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return {**column, "priority": priority} if priority else column


def _object(kind: str, spec: type[Model], status: type[Model]) -> dict[str, Any]:
    # A status that isn't there yet reads as "Current" to kstatus; -1 says that nobody has looked.
    unseen = {**structural(status), "default": {"observedGeneration": -1}}
    return {
        "description": f"{kind}: {spec.__doc__}",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "The version of this schema."},
            "kind": {"type": "string", "description": "What kind of object it is."},
            "metadata": {"type": "object"},
            "spec": structural(spec),
            "status": unseen,
        },
    }


class _Dumper(yaml.SafeDumper):
    """Writes every value out, also one that is there twice: not every reader of CRDs follows aliases."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def dump(document: dict[str, Any]) -> str:
    """A CRD as YAML, the same text for the same document."""
    return _HEADER + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def drift(directory: Path) -> list[str]:
    """What of the directory isn't as the models would have it, one line a file."""
    wanted = {name: dump(document) for name, document in crds().items()}
    problems = []
    for name, text in wanted.items():
        path = directory / name
        if not path.is_file():
            problems.append(f"{path} is missing: run `make crds`")
        elif path.read_text(encoding="utf-8") != text:
            problems.append(f"{path} is not what the models say: run `make crds`")
    problems += [f"{path} belongs to no resource" for path in directory.glob("*.yaml") if path.name not in wanted]
    return problems


def write(directory: Path) -> None:
    """Write every CRD into the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, document in crds().items():
        (directory / name).write_text(dump(document), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Write the CRDs, or with --check say whether they are up to date: 0 if so, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m loadgate.api.crds", description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the CRDs are")
    parser.add_argument("--check", action="store_true", help="write nothing; say what isn't up to date")
    options = parser.parse_args(arguments)
    if not options.check:
        write(options.directory)
        return 0
    problems = drift(options.directory)
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
