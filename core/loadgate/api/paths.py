"""Places in a manifest as text: `spec.scenarios[0].stages[1].duration`, `spec.thresholds["http_reqs{a:b}"][0]`."""

import json
import re

Path = tuple[str | int, ...]

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_-]*")
_PART = re.compile(r'\.?([A-Za-z_$][A-Za-z0-9_-]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]', re.DOTALL)


def format_path(path: Path) -> str:
    """The path as people read it; the empty path is the empty text."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part)}]"
    return text


def parse_path(text: str) -> Path:
    """The path that a text stands for; ValueError where it stands for none."""
    path: list[str | int] = []
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None or (found[1] is not None and found[0].startswith(".") == (not path)):
            raise ValueError(f"{text!r} is not a path, at character {at + 1}")
        name, index, quoted = found.groups()
        path.append(int(index) if index is not None else name if name is not None else json.loads(quoted))
        at = found.end()
    return tuple(path)
