"""Install one lock into the virtual environment that runs this: `python -m deploy.install tools`.

Nothing is resolved: pip gets `--no-deps` and the hashes of the lock. `pip check` says afterwards
whether the lock was whole (docs/design/decisions/0017). What a package is built with is in a lock
too.
This module needs nothing but Python, because it runs before anything is installed.
"""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LOCKS: Final = {
    "tools": "what the worker, the demo and the commands need (290 MB, about half a minute)",
    "dev": "what the tests and checks need, too (670 MB, about a minute)",
    "site": "what builds the documentation's web site (60 MB, some seconds)",
}
"""Names of the locks in requirements/, each with the line that its user sees."""
_PIP: Final = (
    sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input",
)  # fmt: skip
_INSTALL: Final = (*_PIP, "install", "--no-deps", "--no-build-isolation", "--progress-bar", "off")
_STEP: Final = 15
"""A line is printed after this many packages."""
_SHOWN_LINES: Final = 20


class InstallError(Exception):
    """pip has ended with an error. The text is what it printed last."""


def main(arguments: list[str]) -> int:
    """Install the lock that is named; returns the exit code."""
    if len(arguments) != 1 or arguments[0] not in LOCKS:
        print(f"usage: python -m deploy.install {'|'.join(LOCKS)}", file=sys.stderr)
        return 2
    name = arguments[0]
    begun = time.monotonic()
    print(f"Installing {LOCKS[name]} into {Path(sys.prefix).name}:", flush=True)
    try:
        for lock in ("build", name):
            install(ROOT / "requirements" / f"{lock}.txt")
        for _ in _lines(*_INSTALL, "--editable", str(ROOT)):
            pass
        check()
    except InstallError as failed:
        print(f"{failed}\n{name} could not be installed: pip's words are above.", file=sys.stderr)
        return 1
    print(f"  installed in {time.monotonic() - begun:.0f} s", flush=True)
    return 0


def install(lock: Path) -> None:
    """Install exactly what a lock says, and print how far it is.

    Raises InstallError when pip does not end with 0.
    """
    names = re.findall(r"^([A-Za-z0-9._-]+)==", lock.read_text(encoding="utf-8"), re.MULTILINE)
    whole = len(set(names))
    fetched = 0
    for line in _lines(*_INSTALL, "--require-hashes", "-r", str(lock)):
        if line.startswith("Collecting "):
            fetched += 1
            if fetched % _STEP == 0:
                print(f"  fetched {fetched} of {whole} packages", flush=True)
        elif line.startswith("Installing collected packages"):
            print(f"  fetched {fetched}, writing them", flush=True)


def check() -> None:
    """Ask pip whether every package has what it needs.

    Raises InstallError with pip's words when a lock is not whole.
    """
    for _ in _lines(*_PIP, "check"):
        pass


def _lines(*command: str) -> Iterator[str]:
    """Run a command and yield what it prints, line by line."""
    printed = []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            printed.append(line)
            yield line
    if running.returncode:
        raise InstallError("".join(printed[-_SHOWN_LINES:]).rstrip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
