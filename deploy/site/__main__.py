"""Build the site in build/site: `python -m deploy.site`. A broken link fails the build.

Nothing of it may be fetched from another host when it is read, which is checked after the build.
"""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import yaml

from deploy.site.pages import copy_pages, navigation

ROOT: Final = Path(__file__).resolve().parents[2]
_FETCHED: Final = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preconnect|preload|icon))[^>]*\bhref=["']?https?:"""
    r"""|url\(["']?(?:https?:)?//|@import\s+["'](?:https?:)?//"""
)
"""What makes a browser fetch something from another host."""


def fetched_elsewhere(site: Path) -> list[str]:
    """Return a line for each page or style sheet that fetches something from another host."""
    return [
        f"{path.relative_to(site)}: {found[0]}"
        for path in sorted(site.glob("**/*"))
        if path.suffix in {".html", ".css"}
        for found in [_FETCHED.search(path.read_text(encoding="utf-8"))]
        if found
    ]


def main(root: Path = ROOT) -> int:
    """Build the site of a repository and look at it; returns the exit code."""
    build = root / "build"
    copied = copy_pages(root, build / "site-pages")
    config = build / "site.yml"
    settings = {
        "INHERIT": str(Path(__file__).with_name("mkdocs.yml")),
        "docs_dir": "site-pages",
        "site_dir": "site",
        "nav": navigation(copied),
    }
    config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    # Not --quiet: then MkDocs 1.6 counts no warnings, and --strict never fails.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config)]
    without_notice = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    if subprocess.run(command, check=False, env=without_notice).returncode:
        return 1
    found = fetched_elsewhere(build / "site")
    for line in found:
        print(f"fetched from another host: {line}", file=sys.stderr)
    if not found:
        print("the site: open build/site/index.html")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
