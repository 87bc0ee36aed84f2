"""Bugs planted into `netfollowers rebuild` are caught by random lives."""

from __future__ import annotations

import pytest

from verify.sabotage.rebuild_bugs import BUGS, Bug, caught_by


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_of_the_rebuild_is_caught(bug: Bug) -> None:
    assert caught_by(bug)


def test_nothing_is_caught_without_a_planted_bug() -> None:
    assert caught_by(None) is None
