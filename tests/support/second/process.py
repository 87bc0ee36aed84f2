"""Runs a worker of the second engine until it is killed.

    python -m tests.support.second.process GROUP TOPICS

Settings come from the environment, as a worker's do, but for the group and the input, which is the
topic of window results. TOPICS is a JSON list of its own topics' names. It runs every
partition, without a group membership: what is tested is the way to a commit and back.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NoReturn

from aiokafka.producer.message_accumulator import BatchBuilder

from service.contract.results import FinishedBatches
from service.runtime.shard_factory import ShardFactory
from service.runtime.shards import Shards
from service.settings import Settings
from tests.support.second.engine import Finals, Sealed, Topics

log = logging.getLogger(__name__)

_TICK_S: Final = 0.02
_BATCH_BYTES: Final = 1_000_000


class Unobserved:
    """Measures nothing."""

    def opened(self, seconds: float) -> None:
        """See `ShardObserver`."""

    def sealed(self, seconds: float) -> None:
        """See `ShardObserver`."""

    def committed(self, seconds: float, size: int, partition: int, position: int) -> None:
        """See `ShardObserver`."""

    def failed(self) -> None:
        """See `ShardObserver`."""


class WithBatches(Finals):
    """The same, and it hands out its milestones as a batch that is finished."""

    def seal(self) -> Sealed:
        """See the port."""
        sealed = super().seal()
        milestones, outputs = self._topics.milestones, dict(sealed.outputs)
        records = outputs[milestones]
        if not isinstance(records, FinishedBatches) and records:
            outputs[milestones] = FinishedBatches([_finished((one[0], one[1]) for one in records)])
        return sealed._replace(outputs=outputs)


def _finished(records: Iterable[tuple[bytes | None, bytes | None]]) -> BatchBuilder:
    builder = BatchBuilder(_BATCH_BYTES, 0, is_transactional=1)
    for key, value in records:
        added = builder.append(timestamp=None, key=key, value=value)
        assert added is not None, "the batch is full"
    builder.close()
    return builder


def _fail(what: str, error: BaseException | None) -> NoReturn:
    log.critical("exit: %s: %r", what, error, exc_info=error)
    os._exit(70)


async def run(settings: Settings, topics: Topics) -> None:
    """Run it for ever."""
    shards: Shards[Finals] = Shards(_fail)

    shards.new_shard = ShardFactory[Finals](
        settings=settings,
        partitions=settings.partitions,
        new_engine=lambda partition: WithBatches(partition, settings.partitions, topics),
        queue=shards.queue,
        new_observer=Unobserved,
        fail=_fail,
    )
    shards.assign(range(settings.partitions))
    while True:
        try:
            shards.take(await asyncio.wait_for(shards.queue.get(), _TICK_S))
        except TimeoutError:
            shards.watch()
        shards.checkpoint_due()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, force=True)
    counting = Settings.from_env(os.environ)
    own = replace(counting, app_id=sys.argv[1], input_topic=counting.windows_topic)
    asyncio.run(run(own, Topics(*json.loads(sys.argv[2]))))
