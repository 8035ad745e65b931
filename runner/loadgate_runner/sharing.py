"""A plan's data files, read by a runner's parent and mapped by its load processes: one memory for all."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from loadgate_runner.journey import Description, JourneyError, Rows, nameless_file, read_rows
from loadgate_runner.maker import ArmError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from loadgate.plan import Plan


class SharedRows:
    """The rows of a plan's data files, read once and mapped by all load processes.

    Their files are there, and empty, before the processes start, so that these have them open; they are filled while
    the processes do their imports.
    """

    def __init__(self, plan: Plan) -> None:
        self._data = {name: data for name, data in plan.data.items() if data.file is not None}
        self.descriptors = {name: nameless_file() for name in self._data}

    def fill(self, files: Path) -> list[dict[str, Any]]:
        """Read all, and say what is where. Raises ArmError."""
        out = []
        for name, data in self._data.items():
            try:
                rows = read_rows(files / str(data.file), data.format)
            except JourneyError as error:
                raise ArmError(f"data {name}: {error}") from error
            rows.share(self.descriptors[name])
            out.append({"name": name, "descriptor": self.descriptors[name], **asdict(rows.description)})
        return out

    def close(self) -> None:
        """Let go of the files, which are gone with their last user."""
        for descriptor in self.descriptors.values():
            os.close(descriptor)


def shared_rows(told: Iterable[Mapping[str, Any]]) -> dict[str, Rows]:
    """What a parent's `SharedRows.fill` said, as rows."""
    out = {}
    for one in told:
        columns = None if one["columns"] is None else tuple(one["columns"])
        out[one["name"]] = Rows.shared(Description(one["count"], tuple(one["names"]), columns), one["descriptor"])
        os.close(one["descriptor"])  # what is mapped stays
    return out
