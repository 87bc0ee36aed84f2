"""Without the optional tools no test fails: each skips and names the package that has the tool."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.optional import PACKAGES

ROOT = Path(__file__).parents[3]
SHELL = ("bash", "cat", "cp", "env", "ls", "mkdir", "mv", "rm", "sh", "uname")


def bare_path(home: Path) -> Path:
    """Return a directory for the PATH that has only the basics of a shell."""
    home.mkdir()
    for name in SHELL:
        found = shutil.which(name)
        if found is not None:
            (home / name).symlink_to(found)
    return home


def test_no_test_fails_when_no_optional_tool_is_in_the_path(tmp_path: Path) -> None:
    environ = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("PYTEST", "NETFOLLOWERS", "COV_"))
    }
    environ["PATH"] = str(bare_path(tmp_path / "bin"))
    command = [sys.executable, "-m", "pytest", "-m", "tools", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-n0", "-rA", "--basetemp", str(tmp_path / "made")],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr
    reasons = re.findall(r"^SKIPPED \[\d+\] \S+ (.*)$", done.stdout, re.MULTILINE)
    assert reasons
    assert [one for one in reasons if "Debian package: " not in one] == []
    named = set(re.findall(r"Debian package: ([\w-]+)", "\n".join(reasons)))
    assert {"openjdk-17-jre-headless", "prometheus", "openssl", "nodejs"} <= named
    assert named <= set(PACKAGES.values())
    assert "failed" not in done.stdout.splitlines()[-1]


def test_no_other_module_of_the_tests_looks_for_a_tool() -> None:
    looks = re.compile(rf"which\(|subprocess\.\w+\(\s*\[\s*\"({'|'.join(PACKAGES)})\"")
    found = {
        str(path.relative_to(ROOT))
        for room in ("tests", "verify", "scripts")
        for path in (ROOT / room).rglob("*.py")
        if looks.search(path.read_text())
    }
    allowed = {
        "tests/support/optional.py",
        "verify/chaos/__main__.py",  # git, of the report's commit
        "verify/chaos/proxy.py",  # toxiproxy, which make installs
        "verify/fresh.py",  # debootstrap, for `make fresh`
        "verify/repeat.py",  # git, of the log's commit
        "verify/simulation/broker.py",
        "verify/simulation/clients.py",
        "tests/unit/suite/test_optional.py",
    }
    assert found - allowed == set()
