"""Write the chart's generated files, or say which aren't up to date: `python -m charts.generator [--check] PART...`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from charts.generator import crds, dashboards, readme, schema

if TYPE_CHECKING:
    from collections.abc import Callable

CHART = Path(__file__).resolve().parents[1] / "loadgate"

PARTS: dict[str, Callable[[Path], dict[Path, str]]] = {
    "crds": crds.files,
    "dashboards": dashboards.files,
    "readme": readme.files,
    "schema": schema.files,
}


def main(arguments: list[str] | None = None) -> int:
    """Write them, or with --check say whether they are up to date: 0 if so, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m charts.generator", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}; none: all")
    parser.add_argument("--check", action="store_true", help="write nothing; say what isn't up to date")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    wanted = {path: text for part in options.parts or PARTS for path, text in PARTS[part](CHART).items()}
    return _check(wanted) if options.check else _write(wanted)


def _write(wanted: dict[Path, str]) -> int:
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


def _check(wanted: dict[Path, str]) -> int:
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        sys.stderr.write(f"{path} is not what the code says: run `make crds dashboards`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
