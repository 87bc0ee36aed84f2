"""Asks a real Prometheus."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from tests.support.patience import SILENCE_S, Patience

Labels = dict[str, str]


class Prometheus:
    """Its HTTP interface."""

    def __init__(self, url: str) -> None:
        """`url`: http://127.0.0.1:PORT."""
        self.url = url

    def at(self, expr: str, at_s: float | None = None) -> list[tuple[Labels, float]]:
        """Evaluate an expression at a moment (now). Return series and values."""
        asked = {"query": expr} | ({} if at_s is None else {"time": f"{at_s:.3f}"})
        found = self._get("query", asked)
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in found["result"]]

    def firing(self) -> list[dict[str, Any]]:
        """Alerts that fire or are pending, with their annotations."""
        found: list[dict[str, Any]] = self._get("alerts", {})["alerts"]
        return found

    def label_values(self, metric: str, label: str) -> set[str]:
        """Ask what Grafana asks for a variable made of label_values."""
        query = urllib.parse.urlencode({"match[]": metric})
        found: list[str] = self._read(f"label/{label}/values?{query}")
        return set(found)

    def until(self, expr: str, wanted: Callable[[float], bool]) -> None:
        """Wait until the expression's one value is as wanted."""
        patience = Patience(expr)
        while True:
            found = self.at(expr)
            if found and wanted(found[0][1]):
                return
            patience.look(found)
            time.sleep(0.1)

    def _get(self, what: str, asked: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = self._read(f"{what}?{urllib.parse.urlencode(asked)}")
        return found

    def _read(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=SILENCE_S) as answer:  # noqa: S310
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]
