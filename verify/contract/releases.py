"""Released contracts, `docs/contract/released/<version>/asyncapi.json`, and today's version.

`python -m scripts.release_contract` releases today's contract: it never changes again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from tests.support.contract.schemas import CONTRACT
from verify.contract import document

RELEASED: Final = CONTRACT / "released"
MAJOR: Final = 1
"""Raise it for a deliberate break; docs/contract/README.md says what else that takes."""

Version = tuple[int, int, int]


def released(home: Path = RELEASED) -> dict[Version, dict[str, Any]]:
    """Return the document of each version, the oldest first."""
    paths = {parsed(path.parent.name): path for path in home.glob("*/asyncapi.json")}
    return {version: json.loads(paths[version].read_text()) for version in sorted(paths)}


def parsed(text: str) -> Version:
    """Return (1, 2, 0) for '1.2.0'."""
    major, minor, patch = map(int, text.split("."))
    return major, minor, patch


def present(major: int = MAJOR) -> dict[str, Any]:
    """Today's contract: the last release if it is the same, else the next one to come."""
    found = released()
    if not found:
        return document.build(f"{major}.0.0-next")
    last, before = next(reversed(found.items()))
    same = document.build(before["info"]["version"])
    if same == before:
        return same
    following = (major, 0, 0) if major > last[0] else (last[0], last[1] + 1, 0)
    return document.build(f"{'.'.join(map(str, following))}-next")


def edited(home: Path = RELEASED) -> list[str]:
    """Releases that are not what they were when released."""
    listed = {}
    for line in (home / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        listed[name] = digest
    found = {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.glob("*/asyncapi.json")
    }
    every = listed.keys() | found.keys()
    return sorted(name for name in every if listed.get(name) != found.get(name))


def release(home: Path = RELEASED) -> str:
    """Save today's contract as a released one. Return its version."""
    version = str(present()["info"]["version"]).removesuffix("-next")
    text = document.text(document.build(version))
    path = home / version / "asyncapi.json"
    if path.exists():
        return f"{version} is released already, and nothing has changed"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with (home / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(text.encode()).hexdigest()}  {version}/asyncapi.json\n")
    return f"released {version}; now: python -m scripts.write_contract"
