"""Are the numbers right? `service.audit` recomputes all of them from the input and compares."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from service.commands.audit_report import audit_at_rest
from service.local.worker_process import environment
from service.settings import Settings
from verify.chaos.world import World

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Verdict:
    """What one audit has compared and found."""

    at_s: float
    """time.monotonic"""
    took_s: float
    compared: dict[str, int]
    mismatch_count: int
    mismatches: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def records(self) -> int:
        """Input records that were recomputed."""
        return self.compared.get("input records", 0)


async def judge(settings: Settings) -> Verdict:
    """Audit the topics as they are. The workers must be at rest."""
    began = time.monotonic()
    found = await audit_at_rest(settings)
    return Verdict(
        began,
        time.monotonic() - began,
        dict(found.compared),
        found.mismatch_count,
        list(found.mismatches),
        [*found.notes, *(f"NOT CHECKED {line}" for line in found.unchecked)],
    )


async def calm(world: World) -> None:
    """Pause the input and wait until all of it is counted and committed. Raises when it is not."""
    await world.feed.pause()
    world.watcher.rest()
    await world.deployment.caught_up()


async def command_line(settings: Settings) -> tuple[int, str]:
    """Run `netfollowers audit`, as an operator would. Return its exit code and its output."""
    audit = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", "audit", "--at-rest",
        env=environment(settings), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await audit.communicate()
    assert audit.returncode is not None
    return audit.returncode, said.decode()
