"""Files that are there whole, or not at all."""

import os
from pathlib import Path


def replace(path: Path, content: bytes) -> Path:
    """Write a file so that a reader sees the old one or the new one, whole. Raises OSError."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_bytes(content)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
    return path
