"""Which room of the tests may import which: areas share by tests/support, and never each other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("tests", "verify", "scripts", "bench", "deploy")
MAY = {
    "tests/support": ("tests.support",),
    "verify": ("tests.support", "verify", "bench", "deploy"),
    "scripts": ("tests.support", "verify", "deploy", "scripts"),
    "tests/unit": ("tests.support", "tests.tiers", "tests.conftest", *ROOMS[1:]),
    "tests/integration": ("tests.support", *ROOMS[1:]),
}
"""What the modules of each room may import of `ROOMS`. A room may import itself, too."""


_MAYBE = re.compile(rf"\b(?:from|import)\s+(?:{'|'.join(ROOMS)})\b")
"""What a source has that imports from `ROOMS`: parsing all others takes a second."""


def imported(source: str) -> Iterator[str]:
    """Yield the modules that a source imports from `ROOMS`."""
    if not _MAYBE.search(source):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{one.name}" for one in node.names]
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in ROOMS)


def wrong_imports(root: Path) -> list[str]:
    """Say which module imports what it must not."""
    found = []
    for room, allowed in MAY.items():
        for path in sorted((root / room).rglob("*.py")):
            inside = path.relative_to(root)
            area = ".".join(inside.parts[:3]) if room in {"tests/unit", "tests/integration"} else ""
            prefixes = (*allowed, area) if area else allowed
            found += [
                f"{inside} imports {name}"
                for name in imported(path.read_text())
                if not any(f"{name}.".startswith(f"{one}.") for one in prefixes)
            ]
    return found


def test_no_area_of_tests_imports_from_another() -> None:
    assert wrong_imports(ROOT) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("tests/unit/web/test_one.py", "from tests.unit.audit.records import event"),
        ("tests/unit/web/test_one.py", "from tests.integration.web.browser import opened"),
        ("tests/integration/web/test_one.py", "from tests.integration.kafka import test_audit"),
        ("tests/support/records.py", "from verify.simulation.broker import Log"),
        ("verify/chaos/run.py", "import tests.unit.web.test_merge"),
    ],
)
def test_a_planted_import_from_another_area_is_found(tmp_path: Path, path: str, line: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(f"{line}\n")
    [found] = wrong_imports(tmp_path)
    assert found.startswith(f"{path} imports ")


def test_an_area_may_import_itself_and_what_is_shared(tmp_path: Path) -> None:
    (tmp_path / "tests/unit/web").mkdir(parents=True)
    (tmp_path / "tests/unit/web/test_one.py").write_text(
        "from tests.support.patience import until\nfrom tests.unit.web.records import event\n"
    )
    assert wrong_imports(tmp_path) == []
