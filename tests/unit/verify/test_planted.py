"""A planted bug replaces a text of the source: each text must still be there, seen in a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from verify.sabotage import engine_bugs as engine
from verify.sabotage import rebuild_bugs as rebuild
from verify.simulation import planted_bugs as shell

Planted = engine.Bug | shell.Bug | rebuild.Bug

PLANTED = [
    *((bug, engine.SOURCES / bug.file) for bug in (*engine.BUGS, *engine.AT_LEAST_ONCE)),
    *((bug, bug.source) for bug in shell.BUGS),
    *((bug, Path(str(bug.module.__file__))) for bug in rebuild.BUGS),
]


@pytest.mark.parametrize(("bug", "source"), PLANTED)
def test_the_source_has_the_text_that_a_planted_bug_replaces(bug: Planted, source: Path) -> None:
    text = source.read_text()
    assert bug.text in text
    assert bug.text != bug.sabotage
