"""One run: faults by the schedule, checkpoints in between, the whole story as a `Story`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from tests.support.patience import until
from verify.chaos.auditing import Verdict, calm, command_line, judge
from verify.chaos.broker_faults import strike
from verify.chaos.fault_record import Strike
from verify.chaos.fleet import Exit
from verify.chaos.markers import lost_marker
from verify.chaos.proxy import toxiproxy
from verify.chaos.schedule import CUTS, EXTRA, Fault, Kind, schedule
from verify.chaos.watcher import Pause
from verify.chaos.world import WORKERS, World, world

log = logging.getLogger(__name__)

NO_PROXY: Final = (
    "no toxiproxy, so no connection is cut: `make toxiproxy` builds it (Debian package: golang-go)"
)
_SECOND_CHANCES: Final = 40
"""Number of faults that are drawn after the run, to use the kinds that have hit nothing so far."""


@dataclass(frozen=True)
class Plan:
    """What to do. It takes longer than `seconds` of chaos: audits and the last deck come on top."""

    home: Path
    seed: int = 1
    seconds: float = 600.0
    rate: float = 800.0
    overlap: float = 0.25
    checkpoints: int = 3
    """Number of checks during the run. There is always one more at the end."""


@dataclass
class Story:
    """What happened. Times are time.monotonic."""

    plan: Plan
    began_s: float = 0.0
    skipped: str = ""
    strikes: list[Strike] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    restarts: int = 0
    pauses: list[Pause] = field(default_factory=list)
    per_second: Counter[int] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    chaos_s: float = 0.0
    audit_said: str = ""
    lost_marker: str = ""
    """Where the broker has lost a transaction's marker: a fault of Kafka, which ends a run."""
    wrong: list[str] = field(default_factory=list)
    """Why the run has failed; empty if it has not."""

    @property
    def kinds(self) -> list[Kind]:
        """Kinds that can be done here."""
        return [kind for kind in Kind if not (self.skipped and kind in CUTS)]

    def effective(self, kind: Kind | None = None) -> int:
        """Faults that hit something, of one kind or of all."""
        return sum(one.is_effective and kind in {None, one.kind} for one in self.strikes)


async def run(plan: Plan) -> Story:
    """Run it all. A wrong number or a hang does not raise: it stands in `Story.wrong`."""
    story = Story(plan, skipped="" if toxiproxy() else NO_PROXY)
    async with world(plan.home, seed=plan.seed, rate=plan.rate) as lived:
        story.began_s = time.monotonic()
        try:
            await _live(lived, story)
        except (AssertionError, TimeoutError) as error:
            story.wrong.append(str(error) or repr(error))
            await _end_all(lived)
            story.lost_marker = await lost_marker(lived.settings)
        fleet, feed, watcher = lived.fleet, lived.feed, lived.watcher
        story.exits, story.restarts = fleet.exits, fleet.restarts
        story.pauses, story.per_second = watcher.pauses, watcher.per_second
        story.sent = feed.sent
    story.wrong += wrong(story)
    return story


async def _live(lived: World, story: Story) -> None:
    plan = story.plan
    lived.fleet.want(WORKERS)
    assert await lived.settled(WORKERS), "the workers did not start"
    faults = schedule(plan.seed, kinds=story.kinds, overlap=plan.overlap)
    deck = len(story.kinds) + len(EXTRA)
    for part in range(plan.checkpoints + 1):
        is_last = part == plan.checkpoints
        at_least = max(1, deck - len(story.strikes)) if is_last else 0
        await _rage(lived, story, faults, at_least)
        await _checkpoint(lived, story)
    await _end_all(lived)
    story.verdicts.append(await judge(lived.settings))
    code, story.audit_said = await command_line(lived.settings)
    assert code == 0, f"netfollowers audit: exit code {code}\n{story.audit_said}"


async def _end_all(lived: World) -> None:
    lived.fleet.want(0)
    await until(
        lambda: not any(slot.worker for slot in lived.fleet.slots),
        "the end of all workers",
        lived.fleet.last_words,
    )


async def _rage(lived: World, story: Story, faults: Iterator[Fault], at_least: int) -> None:
    """Strike for a part of the time, and `at_least` times. Then wait until all is healed."""
    began = time.monotonic()
    lived.feed.resume()
    lived.watcher.resume()
    struck, going = 0, set[asyncio.Task[None]]()
    part_s = story.plan.seconds / (story.plan.checkpoints + 1)
    while struck < at_least or time.monotonic() - began < part_s:
        fault = next(faults)
        struck += 1
        task = asyncio.create_task(_strike(lived, fault, story))
        going.add(task)
        if not fault.overlaps:
            await asyncio.gather(*going)
            going.clear()
        await asyncio.sleep(fault.gap_s)
    await asyncio.gather(*going)
    if at_least > 0:
        await _make_up(lived, story, faults)
    story.chaos_s += time.monotonic() - began


async def _make_up(lived: World, story: Story, faults: Iterator[Fault]) -> None:
    """Strike alone with each kind that has hit nothing: other faults may have been in its way."""
    for fault in islice(faults, _SECOND_CHANCES):
        if not story.effective(fault.kind):
            await _strike(lived, fault, story)


async def _strike(lived: World, fault: Fault, story: Story) -> None:
    struck = await strike(lived, fault)
    story.strikes.append(struck)
    word = "effective" if struck.is_effective else "NOT EFFECTIVE"
    log.info(
        "%6.1f s  %s: %s, recovery %.1f s, aftermath %.1f s  %s",
        struck.began_s - story.began_s,
        fault.kind,
        word,
        struck.recovery_s,
        struck.aftermath_s,
        struck.note,
    )
    assert struck.is_healed, f"updates did not go on after {fault}\n{lived.fleet.last_words()}"


async def _checkpoint(lived: World, story: Story) -> None:
    await calm(lived)
    before = len(lived.fleet.exits)
    verdict = await judge(lived.settings)
    story.verdicts.append(verdict)
    log.info("checkpoint: %d records, %d mismatches", verdict.records, verdict.mismatch_count)
    ended = lived.fleet.exits[before:]
    story.wrong += [f"a worker ended during a calm: {one}" for one in ended]


def wrong(story: Story) -> list[str]:
    """Say what fails a run that has come to its end."""
    found = [f"unexpected end of a worker: {one}" for one in story.exits if not one.is_expected]
    for verdict in story.verdicts:
        found += verdict.mismatches
    kinds = [kind for kind in story.kinds if not story.effective(kind)]
    if kinds:
        found.append(f"never effective: {', '.join(kinds)}")
    return found
