"""The workers of one group, and a supervisor that starts an ended one again, as Docker would."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.exit_codes import ExitCode
from service.settings import Settings
from tests.support.deployment import Worker

_POLL_S: Final = 0.02
_LAST_LINES: Final = 12
_WHY: Final = 160
_ERROR: Final = re.compile(r"[\w.]+(Error|Fenced|Exception)\b")
BUGS: Final = ("AssertionError", "the engine failed", "refused to open", "the stop did not end")
"""Texts of exits that no planned fault explains, though the worker ends with 70."""
_REST_S: Final = 0.2
_LONGEST_REST_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended."""

    slot: int
    code: int
    sent: tuple[str, ...]
    """Signals that it was sent."""
    at_s: float
    """time.monotonic"""
    lived_s: float
    last: tuple[str, ...]
    """The end of its log."""

    @property
    def is_expected(self) -> bool:
        """Tell whether a signal or a planned fault explains the exit. A bug is never expected."""
        if self.code == 0:
            return "SIGTERM" in self.sent
        if self.code < 0:
            return signal.Signals(-self.code).name in self.sent
        if any(bug in line for bug in BUGS for line in self.last):
            return False
        return self.code in {ExitCode.INTERNAL, ExitCode.BROKER}

    @property
    def why(self) -> str:
        """Return its last line and the error, without numbers; without a line, the exit code."""
        said = [line for line in self.last if "exit: " in line]
        if not said:
            return f"code {self.code}"
        errors = [line for line in self.last if _ERROR.match(line)]
        line = " ".join([said[-1].partition("exit: ")[2], *errors[-1:]])
        return re.sub(r"\d+", "N", line)[:_WHY].strip()


class Slot:
    """The place of one worker: its settings stay, its lives come and go."""

    def __init__(self, number: int, settings: Settings, home: Path) -> None:
        self.number = number
        self.is_wanted = False
        self.is_frozen = False
        self.worker: Worker | None = None
        self.lives = 0
        self._sent: list[str] = []
        self._settings = settings
        self._home = home

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal to the worker, if it runs. Return whether the signal was sent."""
        if self.worker is None or self.worker.process.poll() is not None:
            return False
        self._sent.append(number.name)
        self.worker.signal(number)
        return True

    async def running(self) -> frozenset[int]:
        """Return the partitions whose shard runs. Empty while no worker answers."""
        worker = self.worker
        if worker is None or self.is_frozen:
            return frozenset()
        return frozenset(await asyncio.to_thread(worker.running))

    async def live(self) -> Exit:
        """Live once, from start to end."""
        began = time.monotonic()
        log = self._home / f"worker-{self.number}-{self.lives}.log"
        self.worker, self._sent, self.lives = Worker(self._settings, log), [], self.lives + 1
        while (code := self.worker.process.poll()) is None:
            await asyncio.sleep(_POLL_S)
        now, last = time.monotonic(), self.worker.said().splitlines()
        spoken = [line for line in last if "exit: " in line][-1:]
        tail = (*spoken, *last[-_LAST_LINES:])
        self.worker = None
        return Exit(self.number, code, tuple(self._sent), now, now - began, tail)


class Fleet:
    """`run` keeps as many workers alive as are wanted."""

    def __init__(self, settings: Sequence[Settings], home: Path) -> None:
        self.slots = [Slot(number, one, home) for number, one in enumerate(settings)]
        self.exits: list[Exit] = []

    @property
    def restarts(self) -> int:
        """Lives after the first one of each slot."""
        return sum(max(0, slot.lives - 1) for slot in self.slots)

    @property
    def unexpected(self) -> list[Exit]:
        """Return the exits that no planned fault explains."""
        return [one for one in self.exits if not one.is_expected]

    async def owners(self) -> list[tuple[Slot, frozenset[int]]]:
        """Slots whose worker runs a shard, and which."""
        held = await asyncio.gather(*(slot.running() for slot in self.slots))
        return [(slot, those) for slot, those in zip(self.slots, held, strict=True) if those]

    def last_words(self) -> str:
        """What the workers that run have said last."""
        running = [slot.worker for slot in self.slots if slot.worker is not None]
        lines = [[one.log.name, *one.said().splitlines()[-_LAST_LINES:]] for one in running]
        return "\n".join(line for said in lines for line in said)

    def want(self, count: int) -> None:
        """Want the first `count` slots: SIGTERM to the others, the supervisor starts the rest."""
        for slot in self.slots:
            slot.is_wanted = slot.number < count
            if not slot.is_wanted:
                slot.signal(signal.SIGTERM)

    async def run(self) -> None:
        """Supervise until cancelled, then end all that is left, by pid."""
        try:
            await asyncio.gather(*(self._keep(slot) for slot in self.slots))
        finally:
            for slot in self.slots:
                slot.is_wanted = False
                if slot.worker is not None:
                    with suppress(ProcessLookupError):
                        slot.worker.process.kill()
                    slot.worker.process.wait()

    async def _keep(self, slot: Slot) -> None:
        rest_s = _REST_S
        while True:
            if not slot.is_wanted:
                await asyncio.sleep(_POLL_S)
                continue
            ended = await slot.live()
            self.exits.append(ended)
            is_by_itself = ended.code > 0
            rest_s = min(2 * rest_s, _LONGEST_REST_S) if is_by_itself else _REST_S
            await asyncio.sleep(rest_s if is_by_itself else 0)
