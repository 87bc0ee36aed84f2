"""How far the group has come: the committed position and the checkpoint of each partition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from service.engine import Checkpoint
from service.kafka import clients
from service.settings import Settings

_POLL_S: Final = 0.1


class Stalled(RuntimeError):  # noqa: N818 - says what it is
    """The worker did not come as far as it should in time."""


class Committed(NamedTuple):
    """A commit: offset of the next record, and its checkpoint.

    The embedded broker drops the metadata of a commit: there the checkpoint is None.
    """

    position: int
    checkpoint: Checkpoint | None


class Progress:
    """Reads the group's checkpoints."""

    def __init__(self, settings: Settings, admin: AIOKafkaAdminClient) -> None:
        """Take a started admin client."""
        self._settings = settings
        self._admin = admin

    async def committed(self) -> dict[int, Committed]:
        """Partition -> what the group has committed last, of those with a commit."""
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
        within_s: float,
        closed_to_ms: int = -1,
        look: Callable[[], None] = lambda: None,
    ) -> dict[int, Committed]:
        """Wait until every partition is committed up to its end; -> the commits.

        `closed_to_ms`: and until the windows final at that watermark have been published where the
        watermark is there. `look` is called at every try and may raise.
        """
        until = time.monotonic() + within_s
        while True:
            look()
            found = await self.committed()
            behind = {p: end for p, end in ends.items() if _position(found, p) < end}
            if not behind and all(_is_swept(at, closed_to_ms) for at in found.values()):
                return found
            if time.monotonic() > until:
                positions = {p: _position(found, p) for p in ends}
                message = (
                    f"not counted within {within_s:.0f} s: at {positions}, wanted {dict(ends)}"
                )
                raise Stalled(message)
            await asyncio.sleep(_POLL_S)


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
    """Open an admin client and look through it."""
    admin = clients.admin(settings)
    try:
        await admin.start()
        yield Progress(settings, admin)
    finally:
        await admin.close()
