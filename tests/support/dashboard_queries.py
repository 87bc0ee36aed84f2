"""What the repository asks Prometheus: every query of a panel and every rule, from the files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
DASHBOARDS: Final = ROOT / "deploy" / "grafana" / "dashboards"
PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
_NAME: Final = re.compile(r"\b(?:netfollowers|process|python)_\w+\b|\bup\b|\bALERTS\b")
_RECORDED: Final = re.compile(r"\b\w+:netfollowers_\w+:\w+|\bnetfollowers:\w+:\w+")


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of one panel."""

    board: str
    panel: str
    ref: str
    expr: str
    legend: str
    is_table: bool = False

    @property
    def name(self) -> str:
        """Dashboard / panel / series."""
        return f"{self.board} / {self.panel} / {self.ref}"


def boards() -> dict[str, dict[str, Any]]:
    """Return the dashboard of every JSON file, by title."""
    found = [json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))]
    return {board["title"]: board for board in found}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def asked() -> list[Asked]:
    """Every query of every panel."""
    return [
        Asked(
            title,
            panel["title"],
            target["refId"],
            target["expr"],
            target["legendFormat"],
            target.get("format") == "table",
        )
        for title, board in boards().items()
        for panel in panels(board)
        for target in panel.get("targets", [])
    ]


def rules(file: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Return every alert, by name."""
    return {rule["alert"]: rule for rule in rules("alerts.yml")}


def recorded() -> dict[str, str]:
    """Return the expression of every recording rule, by name."""
    return {rule["record"]: rule["expr"] for rule in rules("recording.yml")}


def metrics_in(expr: str) -> set[str]:
    """Names of metrics in an expression, those behind recording rules included."""
    found: set[str] = set()
    for name in _RECORDED.findall(expr):
        found |= metrics_in(recorded()[name])
    return found | set(_NAME.findall(_RECORDED.sub("", expr)))


def recorded_in(expr: str) -> set[str]:
    """Recording rules that an expression names."""
    return set(_RECORDED.findall(expr))
