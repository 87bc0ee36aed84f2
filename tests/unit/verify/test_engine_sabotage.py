"""Each planted bug of the engine is caught on random logs, or the properties prove nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from verify.sabotage.engine_bugs import AT_LEAST_ONCE, BUGS, Bug, is_caught, sabotaged


@pytest.fixture(autouse=True)
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sabotaged packages are imported from here, and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("sabotaged"):
            del sys.modules[name]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug, tmp_path: Path) -> None:
    assert is_caught(sabotaged(tmp_path, bug))


@pytest.mark.parametrize("bug", AT_LEAST_ONCE, ids=lambda bug: bug.name)
def test_a_planted_bug_of_replay_is_caught_at_least_once(bug: Bug, tmp_path: Path) -> None:
    assert is_caught(sabotaged(tmp_path, bug), at_least_once=True)


@pytest.mark.parametrize("at_least_once", [False, True])
def test_nothing_is_caught_without_a_bug(tmp_path: Path, *, at_least_once: bool) -> None:
    assert not is_caught(sabotaged(tmp_path, None), at_least_once=at_least_once)
