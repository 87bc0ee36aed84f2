"""The faults of the broker and of the network. `strike` does a fault of any kind.

An outage counts as effective only if there was a worker with a ready shard for it to hit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

from verify.chaos import worker_faults
from verify.chaos.fault_record import Act, Strike
from verify.chaos.schedule import Fault, Kind
from verify.chaos.world import CLIENTS, World


async def strike(world: World, fault: Fault) -> Strike:
    """Do it, end it, and wait until the updates of every partition have gone on."""
    act = Act(world, fault)
    await ACTS[fault.kind](act)
    return await act.end()


async def kill_broker(act: Act) -> None:
    """Kill -9, and start it again on what it had written."""
    world = act.world
    async with world.hurting_broker:
        act.begin(is_effective=bool(await world.fleet.owners()))
        world.broker.kill()
        await asyncio.sleep(act.fault.lasts_s)
        await asyncio.to_thread(world.restart_broker)


async def pause_broker(act: Act) -> None:
    """Freeze it: connections stay, nothing answers."""
    world = act.world
    async with world.hurting_broker:
        act.begin(is_effective=bool(await world.fleet.owners()))
        world.broker.pause()
        try:
            await asyncio.sleep(act.fault.lasts_s)
        finally:
            world.broker.resume()


async def cut(act: Act) -> None:
    """Hurt the connections of one owner, or of all workers and the producer."""
    fault, slot = act.fault, await act.victim()
    if slot is None:
        return
    names = CLIENTS if fault.hits_all else CLIENTS[slot.number : slot.number + 1]
    held = await slot.running()
    async with _hurt(act.world, fault, names):
        act.begin(is_effective=bool(held))
        whom = "all" if fault.hits_all else f"worker {slot.number}, which owned {sorted(held)}"
        act.strike.note = f"{whom}: {'requests' if fault.upstream else 'answers'}"
        await asyncio.sleep(fault.lasts_s)


def _hurt(world: World, fault: Fault, names: tuple[str, ...]) -> AbstractAsyncContextManager[None]:
    assert world.proxies is not None, "no cuts without a proxy"
    if fault.kind is Kind.DOWN:
        return world.proxies.down(names)
    toxics: dict[Kind, tuple[str, dict[str, int]]] = {
        Kind.RESET: ("reset_peer", {"timeout": 0}),
        Kind.LATENCY: ("latency", {"latency": 600, "jitter": 400}),
        Kind.TIMEOUT: ("timeout", {"timeout": 0}),
    }
    kind, attributes = toxics[fault.kind]
    return world.proxies.toxic(names, kind, attributes, upstream=fault.upstream)


ACTS: Final[Mapping[Kind, Callable[[Act], Awaitable[None]]]] = {
    Kind.KILL: worker_faults.kill,
    Kind.FREEZE: worker_faults.freeze,
    Kind.TERM: worker_faults.term,
    Kind.SCALE: worker_faults.scale,
    Kind.STORM: worker_faults.storm,
    Kind.BROKER_KILL: kill_broker,
    Kind.BROKER_PAUSE: pause_broker,
    Kind.RESET: cut,
    Kind.DOWN: cut,
    Kind.LATENCY: cut,
    Kind.TIMEOUT: cut,
}
