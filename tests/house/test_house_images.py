"""What the images are built from: locked, from nowhere in particular, and the versions that were tested."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LOCKS = ["build", "runner", "operator"]


def pinned(name):
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("part", LOCKS)
def test_an_image_has_the_versions_that_are_tested(part):
    """Every package of an image is in the lock that the tests run with, in that version."""
    tested = pinned("requirements-dev.lock")
    assert pinned(f"requirements-{part}.lock").items() <= tested.items()


@pytest.mark.parametrize("part", LOCKS)
def test_every_package_of_an_image_has_a_hash(part):
    """A package that was changed on its way isn't installed."""
    text = (ROOT / f"requirements-{part}.lock").read_text()
    packages = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)


@pytest.mark.parametrize(
    "name", ["Dockerfile", ".dockerignore", "images/finish", *(f"requirements-{p}.lock" for p in LOCKS)]
)
def test_a_build_names_no_registry(name):
    """Where images and packages come from is the builder's business: no address of one is written down."""
    assert not re.findall(r"://|\b[\w-]+\.(?:io|org|com|dev)/", (ROOT / name).read_text())


def test_an_image_says_its_version():
    """The label is the project's version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"ARG VERSION={project['version']}\n" in DOCKERFILE


def test_the_operator_is_built_where_nothing_else_is_asked():
    """The last stage is the operator's, and neither image runs as root or installs anything at its start."""
    stages = re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE)
    assert stages[-2:] == ["runner", "operator"]
    assert re.findall(r"^USER (.*)", DOCKERFILE, re.MULTILINE) == ["65532:65532"]
    assert "HEALTHCHECK" not in DOCKERFILE


def test_a_runner_carries_no_operator():
    """A runner needs no Kubernetes client, and an operator no event loop in C."""
    assert not pinned("requirements-runner.lock").keys() & {"kubernetes", "kopf", "aiohttp", "rich"}
    assert not pinned("requirements-operator.lock").keys() & {"uvloop", "httptools", "rich"}


def test_a_runner_keeps_nothing_that_builds_packages():
    """The setuptools that protoc brings is locked, and doesn't stay in the image."""
    assert "setuptools" in pinned("requirements-runner.lock")
    removed = re.findall(r"^rm -rf (.*)", (ROOT / "images/finish").read_text(), re.MULTILINE)
    assert {"setuptools", "_distutils_hack", "distutils-precedence.pth"} <= set(" ".join(removed).split())
