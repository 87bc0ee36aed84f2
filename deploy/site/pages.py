"""The pages of the site: the repository's Markdown, at the same places, with links that work there.

A link to a file that is no page (a source, a test, a folder) becomes plain text: the site has no
copy of it. A link to something that does not exist stays as it is, so that MkDocs reports it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

PROJECT: Final = (
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
)
FOLDERS: Final = ("guide", "operate", "design", "measured", "contract")
"""Folders of docs/, in the order of the navigation."""
STYLE: Final = Path(__file__).parent / "site.css"
_FILES: Final = frozenset({".md", ".png", ".json"})
_LINK: Final = re.compile(r"(?<!!)\[([^\[\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_LIST: Final = re.compile(r"^(?:[-*]|\d+\.) ")


def copy_pages(root: Path, target: Path) -> list[str]:
    """Write every page and picture below `target`, and return their paths from there, sorted."""
    shutil.rmtree(target, ignore_errors=True)
    copied = sorted(path.relative_to(root).as_posix() for path in _sources(root))
    for name in copied:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".md"):
            text = (root / name).read_text(encoding="utf-8")
            text = with_blank_lines(with_links(text, root, name, frozenset(copied)))
            (target / name).write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(root / name, target / name)
    shutil.copyfile(STYLE, target / STYLE.name)
    return copied


def _sources(root: Path) -> Iterator[Path]:
    yield from (root / name for name in ("README.md", *PROJECT))
    for path in (root / "docs").glob("**/*"):
        if path.suffix in _FILES:
            yield path


def with_links(text: str, root: Path, page: str, copied: frozenset[str]) -> str:
    """Make plain text of each link to a file of the repository that the site does not have."""

    def of(found: re.Match[str]) -> str:
        words, link, _ = found.groups()
        there = (root / page).parent.joinpath(link).resolve()
        if "://" in link or not there.exists():
            return found[0]
        name = there.relative_to(root.resolve()).as_posix()
        return found[0] if name in copied else words

    return _LINK.sub(of, text)


def with_blank_lines(text: str) -> str:
    """Put a blank line before each list, which GitHub does not need and MkDocs does."""
    lines: list[str] = []
    for line in text.splitlines():
        before = lines[-1] if lines else ""
        is_first = bool(_LIST.match(line)) and not before.startswith((" ", "\t"))
        if is_first and before and not _LIST.match(before):
            lines.append("")
        lines.append(line)
    return "\n".join(lines) + "\n"


def navigation(copied: list[str]) -> list[Any]:
    """Return the navigation of MkDocs: a tab for each folder of docs/, and one for the project."""
    pages = [name for name in copied if name.endswith(".md")]
    tabs: list[Any] = [{"Start": ["README.md", "docs/index.md"]}]
    for folder in FOLDERS:
        inside = [name for name in pages if name.startswith(f"docs/{folder}/")]
        direct = [name for name in inside if name.count("/") == _DIRECT]
        below = [name for name in inside if name not in direct]
        tabs.append({folder.capitalize(): [*direct, *([{"Decisions": below}] if below else [])]})
    tabs.append({"Project": list(PROJECT)})
    return tabs


_DIRECT: Final = 2
"""Number of slashes in the path of a page that lies in a folder of docs/ itself."""
