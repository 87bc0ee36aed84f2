"""The counting engine and a second one in the same world: what one publishes, the other reads.

The second engine (tests/support/second) has workers, a group, faults, topics and transactions of
its own. They share the broker. Each has its own verdict.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any, Final

from aiokafka.structs import TopicPartition

from service.settings import Settings
from tests.support.second.engine import Checkpoint, Finals, Topics
from tests.support.second.judge import Log as Judged
from tests.support.second.judge import wrong
from verify.simulation import checker
from verify.simulation.broker import Broker, Log
from verify.simulation.clients import simulated
from verify.simulation.clock import DeadlockError, VirtualLoop
from verify.simulation.fault_actions import ACTS
from verify.simulation.faults import Kind
from verify.simulation.scenario import PARTITIONS, Scenario
from verify.simulation.worker import House, Worker, track
from verify.simulation.world import Act, World

TOPICS: Final = Topics()
_OTHER_FAULTS: Final = 10_000
"""Added to a seed: a multiple of 8, so that the guarantee is the same."""


class SecondScenario(Scenario):
    """Faults and lives of the second engine's workers."""

    def settings(self, random: Random) -> Settings:
        """Return settings with a group of its own, and as input what counting publishes."""
        counting = super().settings(random)
        return replace(counting, app_id="simulated-finals", input_topic=counting.windows_topic)


class SecondWorker(Worker):
    """One life of a worker of the second engine."""

    def _engine(self, partition: int) -> Any:
        broker, source = self._place.broker, self.settings.input_topic
        name = f"{self.settings.app_id}-{partition}"
        tp = TopicPartition(source, partition)
        is_exact = self.settings.is_exactly_once

        class Watched(Finals):
            """Checks that no commit is acknowledged that the broker may still forget."""

            def committed(self, checkpoint: Checkpoint) -> None:
                super().committed(checkpoint)
                if is_exact:
                    assert _decided(broker, name, tp) >= checkpoint.position, "told too early"

        return Watched(partition, PARTITIONS, TOPICS)


def _decided(broker: Broker, name: str, tp: TopicPartition) -> int:
    """The newest offset of a group that is committed, in force or about to be."""
    found = [broker.offsets[tp].offset] if tp in broker.offsets else [-1]
    transaction = broker.writers[name].transaction
    if transaction is not None and transaction.is_ending and tp in transaction.offsets:
        found.append(transaction.offsets[tp].offset)
    return max(found)


class SecondWorld(World):
    """The second engine's part of a world."""

    life = SecondWorker

    def __init__(self, first: World, scenario: Scenario, acts: Mapping[Kind, Act]) -> None:
        """Use the broker of the `first` world."""
        super().__init__(scenario, first.house, acts)
        self._first = first
        self.broker = self.outcome.broker = first.broker
        self.names = replace(self.names, updates_topic=TOPICS.table)
        for topic in TOPICS:
            for partition in range(PARTITIONS):
                self.broker.logs[TopicPartition(topic, partition)] = Log()

    def is_done(self) -> bool:
        """True when the first world is over, and all that it has published is counted."""
        return self._first.is_over and super().is_done()


def run(scenario: Scenario, house: House | None = None) -> list[str]:
    """Run a scenario with both engines. Return everything that is wrong with either."""
    logging.disable(logging.CRITICAL)
    loop = VirtualLoop()
    track(loop)
    first = World(scenario, house or House(), ACTS)
    other = SecondScenario.of(scenario.seed + _OTHER_FAULTS)
    faults = other.faults if scenario.faults else ()
    second = SecondWorld(first, replace(other, rules=scenario.rules, logs=(), faults=faults), ACTS)
    loop.set_exception_handler(first.unhandled)

    async def both() -> None:
        await asyncio.gather(first.run(), second.live())

    try:
        with simulated(first.house.clients, first.broker):
            loop.run_until_complete(both())
    except DeadlockError:
        first.outcome.wrong.append("deadlock: everybody waits for ever")
    finally:
        first.outcome.seconds = loop.time()
        for world in (second, first):
            world.end_all()
        first.close(loop)
        logging.disable(logging.NOTSET)
    of_first = [f"counting: {line}" for line in checker.verdict(first.outcome)]
    of_second = [f"second: {line}" for line in _verdict(second)]
    return of_first + of_second


def _verdict(world: World) -> list[str]:
    def visible(topic: str, partition: int) -> Any:
        return world.broker.log(TopicPartition(topic, partition)).visible()

    logs = [
        Judged(
            visible(world.names.input_topic, number),
            visible(TOPICS.table, number),
            visible(TOPICS.milestones, number),
            visible(TOPICS.newcomers, number),
        )
        for number in range(PARTITIONS)
    ]
    return world.outcome.wrong + wrong(logs, is_exact=not world.scenario.at_least_once)
