"""The tables in the two folders of library internals are complete, and no other code reaches in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import pytest

import service
from tests.support.library_reaches import Found, found_in, sources

ROOT: Final = Path(service.__file__).parent
TESTS: Final = ROOT.parent / "tests"
AIOKAFKA: Final = ROOT / "kafka" / "aiokafka_ext"
FAUST: Final = ROOT / "kafka" / "faust_ext"
FOLDERS: Final[dict[Path, list[Path]]] = {AIOKAFKA: [], FAUST: [ROOT / "app.py"]}
"""Modules outside that belong to a folder: the build of a worker looks for Faust's C code."""
SETTINGS_OF_FAUST: Final = frozenset({"Assignor(replicas=0)"})
"""Rows about an argument: nothing is overridden."""


class Row(NamedTuple):
    """One row of a table: the names of its first cell, and its tests."""

    names: list[str]
    why: str
    upstream: str
    tests: list[str]


def rows(table: str) -> list[Row]:
    """The rows of every table of a page."""
    found = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            names, why, upstream, tests = cells
            found.append(
                Row(re.findall("`([^`]+)`", names), why, upstream, re.findall("`([^`]+)`", tests))
            )
    return found


def named(table: str) -> set[str]:
    """The names that a page has rows for, without their owners."""
    whole = {name for row in rows(table) for name in row.names} - SETTINGS_OF_FAUST
    return {name.rpartition(".")[2] for name in whole}


def touched(texts: Iterable[str]) -> set[str]:
    return {name for text in texts for name in found_in(text).names}


def texts_of(folder: Path) -> list[str]:
    return [*sources(folder).values(), *(path.read_text() for path in FOLDERS[folder])]


def others() -> dict[str, Found]:
    """What every other module of the service touches."""
    inside = {path for folder, more in FOLDERS.items() for path in [*sources(folder), *more]}
    return {
        str(path.relative_to(ROOT)): found_in(text)
        for path, text in sources(ROOT).items()
        if path not in inside
    }


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_name_that_a_folder_touches_has_a_row_and_no_row_is_about_nothing(
    folder: Path,
) -> None:
    assert named((folder / "README.md").read_text()) == touched(texts_of(folder))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_row_says_why_and_names_an_issue_or_that_none_was_found(folder: Path) -> None:
    for row in rows((folder / "README.md").read_text()):
        assert row.why.endswith("."), row
        assert "none found" in row.upstream or "](https://github.com/" in row.upstream, row


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_test_of_a_row_exists(folder: Path) -> None:
    for row in rows((folder / "README.md").read_text()):
        assert row.tests, row
        for test in row.tests:
            file, _, name = test.partition("::")
            paths = [path for path in TESTS.rglob(file) if path.parent.name == "kafka"]
            assert len(paths) == 1, test
            tree = ast.parse(paths[0].read_text())
            assert name in {getattr(node, "name", "") for node in tree.body}, test


def test_replacements_are_made_in_install_and_nowhere_else() -> None:
    for path, text in sources(ROOT).items():
        replaced = found_in(text).replaced
        if path == AIOKAFKA / "install.py":
            assert replaced
            assert set(replaced.values()) == {"install"}
        else:
            assert not replaced, path


def test_no_other_module_of_the_service_reaches_into_a_library() -> None:
    assert {module: found.names for module, found in others().items() if found.names} == {}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("def f(consumer):\n    return consumer._fetcher", "_fetcher"),
        ("def f(admin):\n    return getattr(admin, '_client')", "_client"),
        ("from aiokafka.conn import _address_family", "_address_family"),
        ("import aiokafka.conn\ndef f():\n    aiokafka.conn.READER_LIMIT = 1", "READER_LIMIT"),
        ("from aiokafka import client\nclient.log = None", "log"),
        ("from aiokafka import client\nsetattr(client, 'log', None)", "log"),
        ("import faust\nclass A(faust.App):\n    def on_init(self): ...", "on_init"),
        ("import faust\nclass A(faust.App):\n    def f(self): return self._tasks", "_tasks"),
        (
            "from aiokafka.protocol.api import Response\nclass Answer(Response):\n    API_KEY = 3",
            "Answer",
        ),
        (
            "from aiohttp import web\nclass S(web.BaseSite):\n    async def start(self): ...",
            "start",
        ),
    ],
)
def test_a_planted_reach_is_found(line: str, name: str) -> None:
    assert name in found_in(line).names


def test_a_planted_reach_without_a_row_and_a_row_without_a_reach_are_found() -> None:
    page, texts = (AIOKAFKA / "README.md").read_text(), texts_of(AIOKAFKA)
    planted = "def f(consumer):\n    return consumer._fetcher"
    assert touched([*texts, planted]) - named(page) == {"_fetcher"}
    assert named(page + "\n| `Fetcher._gone` | why. | none found | `a.py::b` |") - touched(texts)


def test_what_is_our_own_is_not_a_reach() -> None:
    text = (
        "import os, argparse\nfrom aiokafka.abc import AbstractTokenProvider\n"
        "class T(AbstractTokenProvider):\n"
        "    async def token(self):\n        self._path = 1\n        return self._path\n"
        "def f(row, group: argparse._ActionsContainer):\n    row._replace(a=1)\n    os._exit(1)\n"
    )
    assert found_in(text).names == set()
