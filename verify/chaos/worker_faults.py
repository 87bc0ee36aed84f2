"""What is done to workers, and whether it hit anything.

A fault counts as effective only if it hit a worker that owned a ready shard.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Final

from tests.support.patience import SILENCE_S
from verify.chaos.fault_record import Act
from verify.chaos.fleet import Slot
from verify.chaos.world import MOST_WORKERS, WORKERS, World

_STORM: Final = 5
_STORM_HITS: Final = 3
_STORM_GAP_S: Final = 0.8


async def kill(act: Act) -> None:
    if slot := await act.victim():
        await hit(act, slot, signal.SIGKILL)


async def term(act: Act) -> None:
    """Send SIGTERM to an owner. The supervisor starts it again."""
    if slot := await act.victim():
        await hit(act, slot, signal.SIGTERM)


async def hit(act: Act, slot: Slot, number: signal.Signals) -> frozenset[int]:
    """Send a signal to this worker, whatever it owns. Return the partitions that it ran."""
    held = await slot.running()
    was_there = slot.signal(number)
    act.begin(is_effective=was_there and bool(held))
    act.strike.note = f"worker {slot.number} owned {sorted(held)}"
    return held


async def freeze(act: Act) -> None:
    """Stop an owner with SIGSTOP for longer than its session.

    It is effective if other workers ran its shards when it woke up.
    """
    slot = await act.victim()
    if slot is None:
        return
    held = await hit(act, slot, signal.SIGSTOP)
    worker, slot.is_frozen = slot.worker, True
    try:
        await asyncio.sleep(act.world.settings.session_timeout_s + act.fault.lasts_s)
        taken = await _taken(act.world, held)
        act.strike.is_effective = bool(taken)
        act.strike.note += f", taken over: {sorted(taken)}"
    finally:
        slot.is_frozen = False
        if worker is not None and slot.worker is worker:
            slot.signal(signal.SIGCONT)


async def _taken(world: World, held: frozenset[int]) -> frozenset[int]:
    """Wait until other workers run these partitions, as long as a busy machine may need.

    Return the partitions that others run.
    """
    until = time.monotonic() + SILENCE_S
    taken: frozenset[int] = frozenset()
    while not taken and time.monotonic() < until:
        await asyncio.sleep(0.1)
        taken = held & frozenset().union(*(those for _, those in await world.fleet.owners()))
    return taken


async def scale(act: Act) -> None:
    """Run one worker, then four, then three. It is effective if each number was reached."""
    world, reached = act.world, []
    async with world.scaling:
        act.begin(is_effective=False)
        for count in (1, MOST_WORKERS, WORKERS):
            world.fleet.want(count)
            if await world.settled(count):
                reached.append(count)
    act.strike.is_effective = reached == [1, MOST_WORKERS, WORKERS]
    act.strike.note = f"all shards were run by {reached} workers, in turn"


async def storm(act: Act) -> None:
    """Owners leave as soon as there are any: the group never settles, all is revoked each time."""
    hits = 0
    for _ in range(_STORM):
        if slot := await act.victim():
            hits += slot.signal(signal.SIGTERM)
            if hits and act.strike.began_s == 0:
                act.begin(is_effective=False)
        await asyncio.sleep(_STORM_GAP_S)
    act.strike.is_effective = hits >= _STORM_HITS
    act.strike.note = f"{hits} times an owner left and came back"
