"""The README's commands on a machine that has nothing, as a newcomer types them.

`make fresh` makes a Debian 12 in build/fresh with debootstrap. It has Python, make and git. A
second one has a Java 17 runtime and Maven, too. A clone of the current commit goes into each. The
commands run there with an empty environment. `SHORT=1`: without Java, a short demo and `make unit`.

Needs root (for chroot) and debootstrap. This module needs nothing but Python, because it runs where
nothing is installed.
"""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
FRESH: Final = ROOT / "build" / "fresh"
SUITE: Final = "bookworm"
PACKAGES: Final = "python3,python3-venv,make,git,ca-certificates"
JAVA: Final = ("openjdk-17-jre-headless", "maven")
HOME: Final = "/root"
CLONE: Final = f"{HOME}/net-followers"
ENVIRONMENT: Final = (
    f"HOME={HOME}", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C.UTF-8",
)  # fmt: skip
SHORT: Final = ("make demo SECONDS=10", "make unit")
"""`make test` would take most of CI's time; its tests run beside it anyway."""
TRUSTED: Final = Path("/usr/local/share/ca-certificates")
CLIENT_SETTINGS: Final = ("/etc/pip.conf", "/etc/resolv.conf", "/etc/hosts")
"""How this machine reaches package registries; a newcomer's machine has the like."""
_APT: Final = ("apt-get", "-qq", "-o", "Acquire::Check-Date=false")
_SHOWN_LINES: Final = 40
_ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True, slots=True)
class Typed:
    """One command that was typed on a fresh machine."""

    machine: str
    command: str
    code: int
    seconds: float
    address_after_s: float | None
    """When a page's address was on the screen, from the end of the installation; None: never."""

    @property
    def line(self) -> str:
        """A row of the table at the end."""
        verdict = "ok" if self.code == 0 else f"exit code {self.code}"
        after = self.address_after_s
        seen = "" if after is None else f", page's address {after:.0f} s after the installation"
        return f"{self.machine:13} {self.command:22} {verdict:12} {self.seconds:5.0f} s{seen}"


def main(arguments: Sequence[str]) -> int:
    """Type the commands on each machine; 0 when all of them ended with 0."""
    parser = argparse.ArgumentParser(prog="make fresh", description=__doc__)
    parser.add_argument("--short", action="store_true", help="without Java, a demo and make unit")
    parser.add_argument("--base", action="store_true", help="only make the machine")
    parser.add_argument("--keep", action="store_true", help="leave the machines for a look")
    chosen = parser.parse_args(arguments)
    if missing := what_is_missing():
        print(missing, file=sys.stderr)
        return 2
    machines = {"without Java": base(())}
    if chosen.base:
        return 0
    if not chosen.short:
        machines["with Java"] = base(JAVA)
    commands = SHORT if chosen.short else first_commands((ROOT / "README.md").read_text("utf-8"))
    typed = []
    for machine, made in machines.items():
        typed += type_all(machine, made, commands, keep=chosen.keep)
    print("\n".join(["", *(one.line for one in typed)]))
    return 0 if all(one.code == 0 for one in typed) else 1


def what_is_missing() -> str:
    """Say what this machine lacks, in one line; empty when nothing."""
    if os.geteuid() != 0:
        return (
            "make fresh needs root: it makes a small Debian below build/ and runs in it (chroot)."
        )
    if shutil.which("debootstrap") is None:
        return "make fresh needs debootstrap: apt-get install debootstrap"
    return ""


def first_commands(readme: str) -> list[str]:
    """Return the commands of the README's first block, without their comments."""
    block = re.search(r"^((?: {4}\S.*\n)+)", readme, re.MULTILINE)
    assert block is not None, "the README has no block of commands"
    return [line.split("#")[0].strip() for line in block[1].splitlines()]


def base(packages: Sequence[str]) -> Path:
    """Make a Debian once, with further packages; it stays in build/fresh for the next time."""
    made = FRESH / ("-".join((SUITE, *packages)))
    if (made / "complete").exists():
        return made
    shutil.rmtree(made, ignore_errors=True)
    made.parent.mkdir(parents=True, exist_ok=True)
    print(f"making a Debian ({SUITE}) in {made.relative_to(ROOT)}: some minutes", flush=True)
    if packages:
        copy(base(()), made)
        run_in(made, shell(*_APT, "update"), made.with_suffix(".log"))
        install = (*_APT, "install", "-y", "--no-install-recommends", *packages)
        code = run_in(made, shell(*install), made.with_suffix(".log"))
    else:
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(made)]
        code = run(command, made.with_suffix(".log"))
        if code == 0:
            trust_what_this_machine_trusts(made)
    if code:
        message = f"no Debian could be made (exit code {code}): {made.with_suffix('.log')}"
        raise SystemExit(message)
    (made / "complete").touch()
    return made


def trust_what_this_machine_trusts(made: Path) -> None:
    """Copy certificates and the settings of package clients: a network may need its own."""
    if TRUSTED.is_dir():
        shutil.copytree(TRUSTED, made / TRUSTED.relative_to("/"), dirs_exist_ok=True)
        run_in(made, "update-ca-certificates", made.with_suffix(".log"))
    for name in CLIENT_SETTINGS:
        if Path(name).exists():
            shutil.copy(name, made / name.lstrip("/"))


def copy(made: Path, to: Path) -> None:
    """Copy a whole machine, its devices too."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(made), str(to)], check=True)


def type_all(machine: str, made: Path, commands: Sequence[str], *, keep: bool) -> list[Typed]:
    """Clone the current commit into a copy of a machine, and type the commands one by one."""
    used = FRESH / f"used-{made.name}"
    shutil.rmtree(used, ignore_errors=True)
    copy(made, used)
    clone = ["git", "clone", "--quiet", str(ROOT), str(used / CLONE.lstrip("/"))]
    subprocess.run(clone, check=True)
    typed = []
    try:
        for command in commands:
            typed.append(type_one(machine, used, command))
            if typed[-1].code:
                break
    finally:
        if not keep:
            shutil.rmtree(used)
    return typed


def type_one(machine: str, used: Path, command: str) -> Typed:
    """Type one command; its output goes to a log with the seconds before each line."""
    log = FRESH / f"{machine} {command}.log".replace(" ", "-")
    print(f"{machine}: {command} ({log.relative_to(ROOT)})", flush=True)
    begun = time.monotonic()
    code = run_in(used, f"cd {CLONE} && {command}", log)
    seconds = time.monotonic() - begun
    if code:
        shown = log.read_text("utf-8").splitlines()[-_SHOWN_LINES:]
        print("\n".join(shown), flush=True)
    return Typed(machine, command, code, seconds, address_after_s(log.read_text("utf-8")))


def address_after_s(log: str) -> float | None:
    """Return the seconds from the end of the last installation to the first address of a page."""
    installed_s = 0.0
    for line in log.splitlines():
        seconds, _, said = line.partition(" ")
        if said.startswith(("  installed in", "Kafka's jars")):
            installed_s = float(seconds)
        elif _ADDRESS.search(said):
            return float(seconds) - installed_s
    return None


def shell(*words: str) -> str:
    """Join words to a line of the shell; apt asks nothing."""
    return "DEBIAN_FRONTEND=noninteractive " + " ".join(words)


def run_in(machine: Path, line: str, log: Path) -> int:
    """Run a line in a machine with an empty environment; its processes end with it."""
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    alone += [f"--mount-proc={machine / 'proc'}", "chroot", str(machine)]
    return run([*alone, "env", "-i", *ENVIRONMENT, "sh", "-c", line], log)


def run(command: Sequence[str], log: Path) -> int:
    """Run a command; each line of its output goes to the log with the seconds since the start."""
    begun = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as written,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        ) as running,
    ):  # fmt: skip
        assert running.stdout is not None
        for line in running.stdout:
            written.write(f"{time.monotonic() - begun:.1f} {line}")
            written.flush()
    return running.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
