"""The dashboards as Grafana reads them; what is on them is in `run_board` and `fleet_board`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from charts.generator import fleet_board, run_board

if TYPE_CHECKING:
    from pathlib import Path


def files(chart: Path) -> dict[Path, str]:
    """Each dashboard's JSON by its path."""
    boards = {"run": run_board.board(), "fleet": fleet_board.board()}
    return {
        chart / "dashboards" / f"{name}.json": json.dumps(board, indent=1, ensure_ascii=False) + "\n"
        for name, board in boards.items()
    }
