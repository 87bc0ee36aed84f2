"""Writes the table of settings: `python -m scripts.write_settings_table`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from service.settings import SETTINGS_VARIABLES

PAGE: Final = Path(__file__).parents[1] / "docs" / "operate" / "settings.md"
BEGIN: Final = (
    "<!-- settings: made by `python -m scripts.write_settings_table`, held by its test -->"
)
END: Final = "<!-- end of settings -->"


def table() -> str:
    """Every variable with its default and meaning."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, variable in SETTINGS_VARIABLES.items():
        default = f"`{variable.default}`" if variable.default else ""
        lines.append(f"| `{name}` | {default} | {variable.meaning} |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """Put the table between its marks."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
