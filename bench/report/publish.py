"""Copies a report of the benchmark to the page that shows it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from bench.common.environment import OUTPUT

BY_HAND: Final = "\n## What features cost\n"
"""From this heading on, a published report is written by hand and is kept."""


def publish(page: Path, made: Path = OUTPUT) -> None:
    """Copy the report from `made` to `page`, its plot and its JSON beside it."""
    text = (made / "bench.md").read_text().rstrip("\n") + "\n"
    _, heading, kept = (page.read_text() if page.exists() else "").partition(BY_HAND)
    page.write_text(text + heading + kept)
    for suffix in (".png", ".json"):
        one = made / f"bench{suffix}"
        if one.exists():
            shutil.copy(one, page.with_name(one.name))
