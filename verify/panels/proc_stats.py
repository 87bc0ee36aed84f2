"""What the kernel knows about a worker's process: memory, files, CPU, without asking the worker."""

from __future__ import annotations

import os
import time
from collections import deque
from pathlib import Path
from typing import Final

from verify.panels.tolerance import RATE_S, Process

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_USER, _SYSTEM, _STARTED, _PAGES = 11, 12, 19, 21
"""Fields of /proc/PID/stat after the name."""


class Watched:
    """One process. Call `look` often, so that its CPU over the last RATE_S is known."""

    def __init__(self, pid: int, instance: str) -> None:
        """`instance`: as Prometheus calls it."""
        self.pid = pid
        self._instance = instance
        self._looks: deque[tuple[float, float]] = deque()

    def look(self) -> None:
        """Note its CPU time now."""
        fields = self._stat()
        cpu_s = (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS
        self._looks.append((time.time(), cpu_s))

    def at(self, at_s: float) -> Process:
        """Return its present state, and its CPU over the time before `at_s`."""
        fields = self._stat()
        looks = [look for look in self._looks if at_s - RATE_S <= look[0] <= at_s]
        (first_s, first), (last_s, last) = looks[0], looks[-1]
        limits = Path(f"/proc/{self.pid}/limits").read_text()
        files = next(line for line in limits.splitlines() if line.startswith("Max open files"))
        booted_ago_s = float(Path("/proc/uptime").read_text().split()[0])
        return Process(
            self._instance,
            resident_bytes=int(fields[_PAGES]) * _PAGE,
            open_files=len(list(Path(f"/proc/{self.pid}/fd").iterdir())),
            most_files=int(files.split()[3]),
            started_s=booted_ago_s - int(fields[_STARTED]) / _TICKS,
            cpu_share=(last - first) / (last_s - first_s),
        )

    def _stat(self) -> list[str]:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
