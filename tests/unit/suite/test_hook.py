"""`make hook`: git runs the checks and the unit tests before each commit."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.optional import find, without

pytestmark = pytest.mark.skipif(not find("git"), reason=without("git"))
ROOT = Path(__file__).parents[3]
MAKEFILE = """\
check unit:
\t@echo "$@ $${GIT_INDEX_FILE-unset}" >> ran
\t@test ! -e broken
"""


def run(root: Path, *command: str) -> int:
    """Run a command in a repository; returns its exit code."""
    who = {
        f"GIT_{one}_{part}": "a" for one in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")
    }
    return subprocess.run(command, cwd=root, env={**os.environ, **who}, check=False).returncode


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose targets write what they are, and where the hook is installed."""
    run(tmp_path, "git", "init", "-q")
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "pre-commit", tmp_path / ".ci")
    (tmp_path / "Makefile").write_text(MAKEFILE)
    assert run(tmp_path, "make", "-f", str(ROOT / "Makefile"), "hook") == 0
    return tmp_path


def test_a_commit_runs_the_checks_and_the_unit_tests_first(root: Path) -> None:
    run(root, "git", "add", "Makefile")
    assert run(root, "git", "commit", "-qm", "a change", "--", "Makefile") == 0
    assert (root / "ran").read_text() == "check unset\nunit unset\n"


def test_a_commit_whose_checks_fail_is_not_made(root: Path) -> None:
    (root / "broken").touch()
    run(root, "git", "add", "broken")
    assert run(root, "git", "commit", "-qm", "a change") != 0
    assert run(root, "git", "rev-parse", "-q", "--verify", "HEAD") != 0


def test_another_hook_is_not_replaced(root: Path) -> None:
    hook = root / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\n")
    assert run(root, "make", "-f", str(ROOT / "Makefile"), "hook") != 0
    assert hook.read_text() == "#!/bin/sh\n"
