"""Helm and Prometheus for the chart's tests: found, or left out with a word why."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "loadgate"
CLUSTER = ROOT / "tests" / "cluster" / "cluster"
KUBE_VERSION = "1.36"
NAMESPACE = "gates"


def helm_command():
    """How Helm is called here; skips where it can't be had."""
    if found := shutil.which("helm"):
        return [found]
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubebox" / "helm"
    if not cached.exists() and not shutil.which("go"):
        pytest.skip("the chart is not rendered: neither helm nor Go to build it with is here")
    return [str(CLUSTER), "helm"]


def program(name):
    """The path of a program of Debian's `prometheus` package; skips where it isn't there."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here: apt-get install prometheus")
    return found


def run(*command, **more):
    """A finished process with its output as text."""
    return subprocess.run([str(one) for one in command], capture_output=True, text=True, check=False, **more)


class Helm:
    """Renders the chart."""

    def __init__(self, command):
        self._command = command

    def __call__(self, *arguments):
        return run(*self._command, *arguments)

    def template(self, *arguments, chart=CHART):
        return self("template", "rel", chart, "-n", NAMESPACE, "--kube-version", KUBE_VERSION, *arguments)

    def objects(self, *arguments, chart=CHART):
        """What would be installed, hooks included."""
        done = self.template(*arguments, chart=chart)
        assert done.returncode == 0, done.stderr
        return [obj for obj in yaml.safe_load_all(done.stdout) if obj]

    def refused(self, *arguments):
        """What is said against these values."""
        done = self.template(*arguments)
        assert done.returncode != 0, done.stdout
        return done.stderr


def one(objects, kind, name=None):
    """The object of that kind, and of that name where there are several."""
    found = [obj for obj in objects if obj["kind"] == kind and name in (None, obj["metadata"]["name"])]
    assert len(found) == 1, [obj["metadata"]["name"] for obj in found]
    return found[0]
