"""The table of values in the chart's README, from `values.yaml` and the comments in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEGIN = "<!-- values: made from values.yaml by `make dashboards` -->\n"
END = "<!-- end of values -->\n"


def files(chart: Path) -> dict[Path, str]:
    """The README with its table as it should be. Raises ValueError where it has no place for one."""
    path = chart / "README.md"
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no {BEGIN.strip()} … {END.strip()}")
    return {path: before + BEGIN + table((chart / "values.yaml").read_text(encoding="utf-8")) + END + after}


def table(values: str) -> str:
    """Markdown: each value, its default and what it is for."""
    lines = ["| value | default | |", "| --- | --- | --- |"]
    root = yaml.compose(values, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise TypeError("values.yaml is no map")
    source = values.splitlines()
    for path, node, comment in _rows(root, source, ""):
        default = json.dumps(yaml.safe_load(yaml.serialize(node)), ensure_ascii=False)
        lines.append(f"| `{path}` | `{default}` | {comment.replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"


def _rows(node: yaml.MappingNode, source: list[str], prefix: str) -> Iterator[tuple[str, yaml.Node, str]]:
    """Leaves with the comment above them; a map's own comment goes to its first leaf without one."""
    for key, value in node.value:
        path, comment = f"{prefix}{key.value}", _comment(source, key.start_mark.line)
        nested = isinstance(value, yaml.MappingNode) and value.value and not value.flow_style
        if not nested:
            yield path, value, comment
            continue
        for inner_path, inner, own in _rows(value, source, f"{path}."):
            yield inner_path, inner, own or comment
            comment = "" if not own else comment


def _comment(source: list[str], line: int) -> str:
    found: list[str] = []
    while line > 0 and source[line - 1].strip().startswith("#"):
        line -= 1
        found.insert(0, source[line].strip().removeprefix("#").strip())
    return " ".join(found)
