"""The files for Flux, Argo Workflows and Tekton, strictly judged by a real API server that has their own definitions.

The definitions come from the projects' Go modules, by version and hash; nothing of them is run or built.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kube_cluster import Kube

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(300)]

FILES = Path(__file__).parents[2] / "examples/pipelines"


@dataclass(frozen=True)
class Foreign:
    """A definition: the module that has it, at which version and with which hash, and where in it."""

    module: str
    version: str
    sum: str
    path: str


FOREIGN = {
    "flux/kustomization.yaml": Foreign(
        "github.com/fluxcd/kustomize-controller",
        "v1.10.1",
        "h1:IjTnrkIy0ULJoTNC2ZKuMb32vkqj7dJ6zt6UqbTFxKA=",
        "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    ),
    "argo-workflows/workflow.yaml": Foreign(
        "github.com/argoproj/argo-workflows/v3",
        "v3.6.5",
        "h1:0dvQr+CrhYgCc7ZJ4ZxusLVL/LKwHnpkT1lw/BP4+W4=",
        "manifests/base/crds/full/argoproj.io_workflows.yaml",
    ),
    "tekton/task.yaml": Foreign(
        "github.com/tektoncd/pipeline",
        "v1.0.0",
        "h1:qq/BtjwtvZV7qhd6BnL5sGoBM4vVqpCtz/+hMbs6p94=",
        "config/300-crds/300-task.yaml",
    ),
}


def definition(foreign: Foreign, folder: Path) -> dict[str, Any]:
    """The definition, without its descriptions, which make one of them too large for an API server.

    Skips where the module can't be had; fails where it is another one than it was.
    """
    go = shutil.which("go")
    if go is None:
        pytest.skip("NO GO to get other projects' definitions with")
    (folder / "go.mod").write_text("module schemas\n")
    done = subprocess.run(
        [go, "mod", "download", "-json", f"{foreign.module}@{foreign.version}"],
        cwd=folder,
        env={**os.environ, "GOFLAGS": "-mod=mod"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = json.loads(done.stdout or "{}")
    if "Zip" not in told:  # an error besides a Zip is about building it, which nobody wants to
        pytest.skip(f"NO DEFINITION of {foreign.module}: {told.get('Error') or done.stderr}")
    assert told["Sum"] == foreign.sum
    with zipfile.ZipFile(told["Zip"]) as archive:
        text = archive.read(f"{foreign.module}@{foreign.version}/{foreign.path}").decode()
    found: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    for version in found["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"] = _structural(_without_descriptions(version["schema"]["openAPIV3Schema"]))
    return found


def _without_descriptions(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            name: _without_descriptions(value)
            for name, value in node.items()
            if not (name == "description" and isinstance(value, str))
        }
    return [_without_descriptions(one) for one in node] if isinstance(node, list) else node


def _structural(schema: Any) -> Any:
    """The schema as an API server takes it: Argo's leaves its own recursion open, and such a place takes anything."""
    anything = {"x-kubernetes-preserve-unknown-fields": True}
    if not isinstance(schema, dict):
        return schema
    if not schema:
        return anything
    out = dict(schema)
    if "properties" in out:
        out["properties"] = {name: _structural(one) for name, one in out["properties"].items()}
    if out.get("type") == "array":
        out["items"] = _structural(out.get("items", {}))
    if "additionalProperties" in out:
        out["additionalProperties"] = _structural(out["additionalProperties"])
    return out


NOT_YET = ("no matches for kind", "could not find the requested resource")


@pytest.fixture(scope="module")
def taken(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, dict[str, Any]], str]]:
    """Has the API server say what it thinks of an object of a file's kind, field by field, without making it."""
    made: list[str] = []

    def create(obj: dict[str, Any]) -> str:
        """What kubectl complains of; nothing where it is taken."""
        done = subprocess.run(
            [*kube.kubectl, "create", "--dry-run=server", "--validate=strict", "-f", "-"],
            input=yaml.safe_dump({**obj, "metadata": {**obj["metadata"], "namespace": "default"}}),
            env={**os.environ, **kube.environment, "KUBECONFIG": kube.kubeconfig},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stderr if done.returncode else ""

    def ask(name: str, obj: dict[str, Any]) -> str:
        crd = definition(FOREIGN[name], tmp_path_factory.mktemp("module"))
        title = f"crd/{crd['metadata']['name']}"
        if title not in made and kube.get(title) is None:
            kube.run("create", "-f", "-", stdin=yaml.safe_dump(crd))
            made.append(title)
        end = time.monotonic() + 30
        # until the server tells that it serves the kind (no match), and then does (not found)
        while any(early in (answer := create(obj)) for early in NOT_YET):
            assert time.monotonic() < end, answer
            time.sleep(0.5)
        return answer

    yield ask
    for title in made:
        kube.run("delete", title, "--wait=false")


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_is_what_its_project_takes(taken: Callable[[str, dict[str, Any]], str], name: str):
    """No field is unknown, none that is needed is missing, and every value is of its type."""
    assert taken(name, yaml.safe_load((FILES / name).read_text())) == ""


SLIPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "flux/kustomization.yaml": lambda obj: obj["spec"].update(waits=True),
    "argo-workflows/workflow.yaml": lambda obj: obj["spec"]["templates"][0]["resource"].update(sucessCondition="x"),
    "tekton/task.yaml": lambda obj: obj["spec"]["steps"][0].update(scripts="x"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_slip_would_be_found(taken: Callable[[str, dict[str, Any]], str], name: str):
    """A field that isn't theirs is refused by its name, so the test above can fail."""
    obj = yaml.safe_load((FILES / name).read_text())
    SLIPS[name](obj)
    assert "unknown field" in taken(name, obj)
