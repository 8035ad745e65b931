"""The wheel's build hook: the modules that each request goes through are compiled, where there is a C compiler.

mypyc compiles the very source that runs without it, so there is one runner and not two. What asks the kernel is
written twice, in Python and for Cython, and tested alike. LOADGATE_COMPILE=yes makes a failure to compile one of the
build, LOADGATE_COMPILE=no doesn't try. An editable installation is never compiled.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCES = ("core/loadgate", "runner/loadgate_runner")
_SCRIPT = """
import json, sys
from Cython.Build import cythonize
from mypyc.build import mypycify
from setuptools import setup
flags = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
given = json.loads(sys.argv[1])
sources = [one for one in given if one.endswith(".py")]
modules = mypycify([*flags, *sources], opt_level="3", debug_level="0", group_name="loadgate_runner")
if sys.platform == "linux":
    modules += cythonize([one for one in given if one.endswith(".pyx")], quiet=True)
setup(name="loadgate", packages=[], ext_modules=modules, script_args=["--quiet", "build_ext", "--inplace"])
"""


class CompiledModules(BuildHookInterface[Any]):
    """Puts compiled modules beside their source; `modules` of the hook's settings names the sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile in a folder of its own, and add what came of it to the wheel."""
        wish = os.environ.get("LOADGATE_COMPILE", "")
        if version == "editable" or wish == "no":
            return
        folder = Path(tempfile.mkdtemp(prefix="loadgate-compile-"))
        try:
            self._compile(folder)
        except (OSError, subprocess.CalledProcessError) as fault:
            if wish == "yes":
                raise
            self.app.display_warning(f"nothing is compiled, the runner will cost more CPU: {_said(fault)}")
            return
        built = {str(path): str(path.relative_to(folder)) for path in folder.rglob("*.so") if "build" not in path.parts}
        build_data["force_include"].update(built)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        self._folder = folder

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - the interface's
        """Forget the folder."""
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder)

    def _compile(self, folder: Path) -> None:
        for source in _SOURCES:
            shutil.copytree(Path(self.root, source), folder / Path(source).name)
        modules = [str(Path(*Path(module).parts[1:])) for module in self.config["modules"]]
        command = [sys.executable, "-c", _SCRIPT, json.dumps(modules)]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)  # noqa: S603 - our own


def _said(fault: Exception) -> str:
    """The last line of what the compiler said, which is why."""
    said = (fault.stderr or fault.stdout) if isinstance(fault, subprocess.CalledProcessError) else str(fault)
    return (said.strip().splitlines() or ["no reason given"])[-1]
