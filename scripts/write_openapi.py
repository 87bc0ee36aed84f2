"""Writes docs/contract/openapi.json: `python -m scripts.write_openapi`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from service.settings import Settings
from service.web import openapi

DOCUMENT = Path(__file__).parents[1] / "docs" / "contract" / "openapi.json"


def of_defaults() -> Any:
    """The document of a worker with default settings."""
    settings = Settings()
    grains = [grain.name for grain in settings.rules.grains]
    return openapi.document(grains, settings.ranked_grains)


if __name__ == "__main__":
    DOCUMENT.write_text(json.dumps(of_defaults(), indent=2) + "\n")
