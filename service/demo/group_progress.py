"""The progress of the group: the committed position and the checkpoint of each partition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from service.counting import Checkpoint
from service.errors import WorkerError
from service.kafka import clients
from service.settings import Settings

STALLED_AFTER_S: Final = 600.0
"""A last limit: a worker without progress ends by itself after a minute, and says why."""
_POLL_S: Final = 0.1


class CatchUpTimeoutError(WorkerError):
    """The worker has stopped making progress before it reached the end."""


class Committed(NamedTuple):
    """A commit: the offset of the next record, and its checkpoint.

    The embedded broker drops the metadata of a commit. Then the checkpoint is None.
    """

    position: int
    checkpoint: Checkpoint | None


class Progress:
    """Reads the group's checkpoints."""

    def __init__(self, settings: Settings, admin: AIOKafkaAdminClient) -> None:
        """`admin`: a started client."""
        self._settings = settings
        self._admin = admin

    async def committed(self) -> dict[int, Committed]:
        """Return the last commit of each partition that has one."""
        settings = self._settings
        partitions = [TopicPartition(settings.input_topic, p) for p in range(settings.partitions)]
        found = await self._admin.list_consumer_group_offsets(
            settings.app_id, partitions=partitions
        )
        return {
            tp.partition: Committed(commit.offset, _checkpoint(commit))
            for tp, commit in found.items()
            if commit.offset >= 0
        }

    async def wait(
        self,
        ends: Mapping[int, int],
        *,
        stalled_after_s: float = STALLED_AFTER_S,
        closed_to_ms: int = -1,
        look: Callable[[], None] = lambda: None,
    ) -> dict[int, Committed]:
        """Wait until every partition is committed up to its end. Return the commits.

        There is no time limit as long as the commits change. Stalled if they have not changed for
        `stalled_after_s`. `closed_to_ms`: if the watermark has reached it, also wait until the
        windows that are final then are published. `look` is called at every try and may raise.
        """
        last: dict[int, Committed] | None = None
        until = 0.0
        while True:
            look()
            found = await self.committed()
            if _is_done(found, ends, closed_to_ms):
                return found
            now = time.monotonic()
            if found != last:
                last, until = found, now + stalled_after_s
            if now > until:
                message = (
                    f"nothing was counted for {stalled_after_s:g} s: {_counted(found, ends):,} of "
                    f"{sum(ends.values()):,} records"
                )
                raise CatchUpTimeoutError(message)
            await asyncio.sleep(_POLL_S)


def _is_done(found: Mapping[int, Committed], ends: Mapping[int, int], closed_to_ms: int) -> bool:
    is_counted = all(_position(found, p) >= end for p, end in ends.items())
    return is_counted and all(_is_swept(at, closed_to_ms) for at in found.values())


def _counted(found: Mapping[int, Committed], ends: Mapping[int, int]) -> int:
    return sum(_position(found, p) for p in ends)


def _checkpoint(commit: OffsetAndMetadata) -> Checkpoint | None:
    if not commit.metadata:
        return None
    return Checkpoint.from_metadata(commit.offset, commit.metadata)


def _position(found: Mapping[int, Committed], partition: int) -> int:
    return found[partition].position if partition in found else 0


def _is_swept(commit: Committed, closed_to_ms: int) -> bool:
    checkpoint = commit.checkpoint
    if checkpoint is None or checkpoint.watermark_ms < closed_to_ms:
        return True
    return checkpoint.sweep.closed_to_ms >= closed_to_ms


@asynccontextmanager
async def progress_of(settings: Settings) -> AsyncIterator[Progress]:
    """Open an admin client, and yield a `Progress` with it."""
    async with clients.open_admin(settings) as admin:
        yield Progress(settings, admin)
