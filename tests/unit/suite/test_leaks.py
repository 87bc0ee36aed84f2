"""What a test leaves open fails that test, and not the one that happens to run next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
TESTS = """\
import socket

from tests.conftest import what_a_test_leaves_is_told_in_it, what_is_imported_is_no_garbage


class Owner:
    def __init__(self) -> None:
        self.mine = self, socket.socket()


def test_one_leaves_a_socket_to_the_collector() -> None:
    Owner()


def test_the_next_one_leaves_nothing() -> None:
    pass
"""


def test_what_is_left_open_is_told_in_the_test_that_left_it(tmp_path: Path) -> None:
    (tmp_path / "test_left.py").write_text(TESTS)
    options = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "-rA", "-n0"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", "test_left.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.splitlines()
    bad = [line for line in said if line.startswith(("ERROR ", "FAILED "))]
    assert len(bad) == 1, done.stdout + done.stderr
    assert "test_one_leaves_a_socket_to_the_collector" in bad[0]
    assert "ResourceWarning: unclosed <socket" in done.stdout
    assert any(line.startswith("PASSED") and "leaves_nothing" in line for line in said)
