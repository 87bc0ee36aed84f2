"""What /ready says from the assignment to the first fetch, and when the answers stop."""

from __future__ import annotations

import time

from service.app import why_not_ready
from service.counting import Engine
from service.runtime.engine_port import Sealed
from service.runtime.lag import Lag
from service.runtime.shards import Shards
from service.settings import Settings
from tests.support.patience import until
from tests.unit.runtime.test_shards import Silent, Slow, shards_over


class Polled:
    """As aiokafka's consumer: it knows when the broker last answered a fetch."""

    def __init__(self) -> None:
        self.answered_ms: int | None = None

    def last_poll_timestamp(self, _: object) -> int | None:
        return self.answered_ms

    def last_stable_offset(self, _: object) -> int:
        return 0


class Lasting(Slow):
    """It takes each commit at once, and can be opened again."""

    async def commit(self, _: Sealed) -> int:
        """Take it."""
        return 0


def ready(shards: Shards[Engine]) -> str:
    """What /ready says; "" if the worker is ready."""
    return why_not_ready(shards, Lag(Settings(), shards.held))


async def test_a_worker_is_ready_when_its_first_fetch_was_answered_and_until_answers_stop() -> None:
    shards = shards_over(Slow(), [])
    assert ready(shards) == "the group has assigned no partition yet"
    shards.assign([0])
    assert ready(shards) == "a partition is being restored"
    await until(lambda: shards.is_ready, "the shard to run")
    (shard,) = shards
    reader = shard.reader
    assert isinstance(reader, Silent)
    assert ready(shards) == "nothing has been fetched yet", "its consumer still starts"
    reader._consumer = consumer = Polled()
    assert ready(shards) == "nothing has been fetched yet", "it has asked"
    consumer.answered_ms = int(time.time() * 1_000)
    assert ready(shards) == ""
    consumer.answered_ms -= 60_000
    assert ready(shards) == "the broker does not answer"
    await shards.stop()


async def test_after_a_rebalance_the_first_fetch_is_waited_for_again() -> None:
    shards = shards_over(Lasting(), [])
    shards.assign([0])
    await until(lambda: shards.is_ready, "the shard to run")
    (shard,) = shards
    assert shard.reader is not None
    shard.reader._consumer = consumer = Polled()
    consumer.answered_ms = int(time.time() * 1_000)
    assert ready(shards) == ""
    await shards.revoke()
    assert ready(shards) == "the group has assigned no partition yet"
    shards.assign([0])
    await until(lambda: shards.is_ready, "the shard to run again")
    assert ready(shards) == "nothing has been fetched yet"
    await shards.stop()
