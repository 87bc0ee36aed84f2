"""The topics, one worker and one producer of a part of the demo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from service.background_tasks import beside
from service.commands.progress_bar import Bar
from service.demo.group_progress import Committed, Progress, progress_of
from service.kafka import topic_admin as topics
from service.local.worker_process import WorkerProcess
from service.settings import Settings
from service.synthetic.batch_sender import Outbox, outbox_to

_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A running worker with its topics and its outbox."""

    settings: Settings
    worker: WorkerProcess
    progress: Progress
    outbox: Outbox

    @property
    def page(self) -> str:
        """Address of the worker's page."""
        return f"{self.worker.url}/"

    @asynccontextmanager
    async def counting(self, console: Console, what: str, total: int) -> AsyncIterator[None]:
        """Show how many of `total` records are counted while the block runs."""
        with Bar(console) as bar:
            async with beside(self._tell(bar.begin(what, total))):
                yield

    async def counted(self, closed_to_ms: int = -1) -> Mapping[int, Committed]:
        """Wait until all that was sent is counted (see `Progress.wait`)."""
        return await self.progress.wait(
            self.outbox.ends, closed_to_ms=closed_to_ms, look=self.worker.check
        )

    async def _tell(self, more: Callable[[int], None]) -> None:
        told = 0
        while True:
            found = await self.progress.committed()
            position = sum(one.position for one in found.values())
            more(position - told)
            told = position
            await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def pipeline(settings: Settings, log: Path) -> AsyncIterator[Pipeline]:
    """Create the topics and start the worker. WorkerError if it ends by itself, also later."""
    await topics.create(settings)
    worker = WorkerProcess(settings, log, has_own_session=True)
    try:
        await worker.ready()
        async with (
            beside(worker.watch()),
            progress_of(settings) as progress,
            outbox_to(settings) as outbox,
        ):
            yield Pipeline(settings, worker, progress, outbox)
    finally:
        worker.end()
