"""All dashboards as the JSON that Grafana reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.dashboards import runbook
from deploy.dashboards.board import build

DIRECTORY: Final = Path(__file__).parents[1] / "grafana" / "dashboards"


def rendered() -> dict[str, str]:
    """Return the text of each dashboard file, by file name."""
    boards = {f"{path.stem}.json": build(path) for path in Path(__file__).parent.glob("*.yml")}
    boards["runbook.json"] = runbook.build()
    return {
        name: json.dumps(board.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"
        for name, board in boards.items()
    }
