"""What a run hurts: a real Kafka behind proxies, topics, three workers, live input, a watcher."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from service.errors import BrokerError
from service.local.broker import LocalBroker, start_local_broker
from service.local.ports import free_ports
from service.settings import Settings
from tests.support.deployment import Deployment, deploy
from tests.support.deployment_fixtures import settings_for
from tests.support.patience import Patience
from verify.chaos.fleet import Fleet
from verify.chaos.producer import Feed
from verify.chaos.proxy import Proxies, toxiproxy
from verify.chaos.watcher import Watcher

WORKERS: Final = 3
MOST_WORKERS: Final = 4
PARTITIONS: Final = 8
"""Faust's assignor gives each of four workers some of eight; of six it may leave one without."""
FEED: Final = "feed"
CLIENTS: Final = (*(f"worker-{number}" for number in range(MOST_WORKERS)), FEED)
GRAINS: Final = "5s:2s:30s,1m:10s:5m,1h:1m:3h"
SESSION: Final = {"broker.session.timeout.ms": "15000"}
"""Longer than any pause of the broker, also on a slow machine.

A controller that is paused with its broker declares it dead when both wake up later than this, and
a coordinator that meets partitions without a leader may lose a marker (docs/design/decisions/0013).
A killed broker may not come back earlier, so it is no longer than it must be.
"""
_RESTARTS: Final = 3


@dataclass(frozen=True)
class World:
    """All that runs. `proxies` None: no toxiproxy here, the network stays whole."""

    settings: Settings
    broker: LocalBroker
    proxies: Proxies | None
    deployment: Deployment
    fleet: Fleet
    feed: Feed
    watcher: Watcher
    hurting_broker: asyncio.Lock = field(default_factory=asyncio.Lock)
    scaling: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def settled(self, count: int) -> bool:
        """Wait until `count` workers run all shards and each of them has a shard.

        Return whether they do. It gives up when no worker has logged a line or got a partition for
        a long time.
        """
        patience = Patience(f"{count} workers that run all shards")
        while True:
            held = [those for _, those in await self.fleet.owners()]
            if len(held) == count and sum(map(len, held)) == PARTITIONS:
                return True
            if patience.is_over((held, self.fleet.last_words())):
                return False
            await asyncio.sleep(0.1)

    def restart_broker(self) -> None:
        """Start the broker again. Its ports may be taken for a moment."""
        for attempt in range(1, _RESTARTS + 1):
            try:
                self.broker.restart()
            except BrokerError:
                if attempt == _RESTARTS:
                    raise
                time.sleep(1.0)
            else:
                return


@asynccontextmanager
async def world(home: Path, *, seed: int, rate: float, name: str = "chaos") -> AsyncIterator[World]:
    """Start everything but workers and input; end it all. Real Kafka only: KafkaJarsError."""
    async with AsyncExitStack() as stack:
        server = toxiproxy()
        api, *ports = free_ports(3 + 2 * len(CLIENTS))
        direct, controller, listeners, doors = ports[0], ports[1], ports[2::2], ports[3::2]
        proxies = None
        overrides = dict(SESSION)
        if server is not None:
            proxies = await stack.enter_async_context(Proxies(server, api, home / "toxiproxy.log"))
            for client, listen, upstream in zip(CLIENTS, doors, listeners, strict=True):
                await proxies.add(client, listen, upstream)
            overrides |= _listeners(direct, controller, listeners, doors)
        broker = stack.enter_context(
            start_local_broker("kafka", port=direct, log_dir=home / "kafka", overrides=overrides)
        )
        settings = _settings(broker.bootstrap, name)
        deployment = await deploy(settings, home)
        ways = [broker.bootstrap] * len(CLIENTS)
        if proxies is not None:
            ways = [f"127.0.0.1:{door}" for door in doors]
        behind = [
            replace(settings, brokers=way, instance_id=f"static-{number}" if number == 1 else "")
            for number, way in enumerate(ways)
        ]
        fleet = Fleet(behind[:MOST_WORKERS], home)
        feed = Feed(replace(behind[-1], instance_id=""), seed=seed, rate=rate)
        watcher = Watcher(settings)
        for runs in (fleet.run(), feed.run(), watcher.run()):
            await stack.enter_async_context(_alongside(runs))
        yield World(settings, broker, proxies, deployment, fleet, feed, watcher)


@asynccontextmanager
async def _alongside(runs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run it for as long as the block. If it fails, the block is cancelled and the error raised."""
    block = asyncio.current_task()
    assert block is not None
    task = asyncio.create_task(runs)
    task.add_done_callback(lambda done: None if done.cancelled() else block.cancel())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _settings(brokers: str, name: str) -> Settings:
    return settings_for(
        brokers,
        name,
        partitions=PARTITIONS,
        grains=GRAINS,
        max_ahead_s=1.0,
        dedup_generation=20_000,
        flush_interval_s=0.2,
        session_timeout_s=6.0,
        transaction_timeout_s=12.0,
        stuck_after_s=20.0,
    )


def _listeners(
    direct: int, controller: int, listeners: list[int], doors: list[int]
) -> dict[str, str]:
    """Give every client a listener of its own that advertises the proxy before it."""
    names = [f"DOOR{number}" for number in range(len(doors))]
    own = [f"PLAINTEXT://127.0.0.1:{direct}"]
    inside = [f"{name}://127.0.0.1:{at}" for name, at in zip(names, listeners, strict=True)]
    outside = [f"{name}://127.0.0.1:{at}" for name, at in zip(names, doors, strict=True)]
    protocols = [f"{name}:PLAINTEXT" for name in ("CONTROLLER", "PLAINTEXT", *names)]
    return {
        "listeners": ",".join([*own, *inside, f"CONTROLLER://127.0.0.1:{controller}"]),
        "advertised.listeners": ",".join([*own, *outside]),
        "listener.security.protocol.map": ",".join(protocols),
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
    }
