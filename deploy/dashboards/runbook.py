"""The runbook as a dashboard: a panel for each heading, so that a link opens the very answer.

Made from docs/operate/runbook.md, which people read in the repository; the two cannot differ.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import dashboard, text
from grafana_foundation_sdk.models.text import TextMode

ROOT: Final = Path(__file__).parents[2]
UID: Final = "netfollowers-runbook"
_HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)
_LINE_CHARACTERS: Final = 150
_LINES_PER_UNIT: Final = 1.35


def sections() -> dict[str, str]:
    """Return the Markdown below each heading of docs/operate/runbook.md, in order."""
    _, *parts = _HEADING.split((ROOT / "docs" / "operate" / "runbook.md").read_text())
    return dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))


def link_to(heading: str) -> str:
    """Where Grafana shows this section alone. ValueError: there is no such heading."""
    return f"/d/{UID}?viewPanel={list(sections()).index(heading) + 1}"


def build() -> dashboard.Dashboard:
    """Build one text panel for each section."""
    board = dashboard.Dashboard("Runbook").uid(UID).tags(["netfollowers"])
    board.description("What to do when an alert fires. The same text as docs/operate/runbook.md.")
    for number, (heading, markdown) in enumerate(sections().items(), start=1):
        panel = text.Panel().id(number).title(heading).mode(TextMode.MARKDOWN).content(markdown)
        panel.description("From docs/operate/runbook.md.").span(24).height(_height(markdown))
        board.with_panel(panel)
    return board


def _height(markdown: str) -> int:
    lines = sum(1 + len(line) // _LINE_CHARACTERS for line in markdown.splitlines())
    return 3 + int(lines / _LINES_PER_UNIT)
