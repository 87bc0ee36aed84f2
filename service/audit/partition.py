"""Audits one partition in bounded memory: reads the input and its results side by side.

The rows come first. They are the state, one per account. Then the input is fed in batches. After
each batch, the results are read as far as the model can judge them, and settled windows are
forgotten.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from service.audit.checks.rejects import LabelledCheck, unforeseen_in
from service.audit.checks.windows import FinalsCheck
from service.audit.comparison import Comparison
from service.audit.horizon import NEVER_MS
from service.audit.model.input_record import LogRecord
from service.audit.published import Committed, Published, json_object
from service.audit.sources.source import Extent, Snapshot, Source, input_of

Watch = Callable[[int], None]
"""Called with the number of input records read since the last call."""

LOOK_AHEAD: Final = 1_000
"""Number of window results that may wait for the model. A wrong one waits until the end."""
CLOCKS_MS: Final = 60_000
"""Largest difference between the clocks of two brokers."""


async def audit_partition(
    source: Source,
    snapshot: Snapshot,
    comparison: Comparison,
    *,
    expect_swept: bool | None,
    watch: Watch,
) -> None:
    """Compare one partition.

    `expect_swept` None: windows must be published as far as the commit says.
    """
    async for batch in read_results(source, snapshot, "updates"):
        for record in batch:
            comparison.rows.see(record)
    comparison.model.unforeseen = await read_unforeseen(source, snapshot)
    followers = [await _finals(source, snapshot, comparison.finals)]
    for kind, check in (("late", comparison.late), ("rejected", comparison.rejected)):
        if snapshot.extents[kind].start > 0:
            check.begin_cut()
        followers.append(Follower(read_results(source, snapshot, kind), check, look_ahead=1))
    async for fed in input_of(
        source, snapshot.partition, snapshot.counted, comparison.model.rules.skipped
    ):
        for one in fed:
            comparison.feed(one)
        for follower in followers:
            await follower.catch_up(comparison.model.position)
        comparison.finals.forget_settled(fed[-1].timestamp_ms if fed else -1)
        watch(len(fed))
    for follower in followers:
        await follower.finish()
    comparison.settle()
    if comparison.rows.missing:
        comparison.rows.excuse(await _written_since(source, snapshot))
    swept_to_ms = _swept_to(snapshot.committed, expect_swept=expect_swept)
    comparison.finish(swept_to_ms=swept_to_ms, is_at_rest=expect_swept is True)
    comparison.commit(snapshot.committed)


class Follower:
    """Shows a check the results that the model can judge by now."""

    def __init__(
        self,
        batches: AsyncIterator[list[Published]],
        check: FinalsCheck | LabelledCheck,
        *,
        look_ahead: int,
    ) -> None:
        """`look_ahead`: number of results that may wait before reading stops."""
        self._batches = batches
        self._check = check
        self._look_ahead = look_ahead
        self._read: deque[Published] = deque()
        self._waiting: deque[Published] = deque()
        self._is_at_end = False

    async def peek(self) -> Published | None:
        """Return the next result without taking it; None at the end."""
        while not self._read and not self._is_at_end:
            batch = await anext(self._batches, None)
            if batch is None:
                self._is_at_end = True
            else:
                self._read.extend(batch)
        return self._read[0] if self._read else None

    async def catch_up(self, position: int) -> None:
        """Show the check what the model can judge. The model was fed up to `position`."""
        if isinstance(self._check, LabelledCheck):
            self._check.pass_by(position)
        waiting, self._waiting = self._waiting, deque()
        keys: set[bytes | None] = set()
        for result in waiting:
            self._offer(result, keys)
        while len(self._waiting) < self._look_ahead:
            if await self.peek() is None:
                self._nothing_more()
                return
            self._offer(self._read.popleft(), keys)

    async def finish(self) -> None:
        """Show the check all that is left."""
        for result in self._waiting:
            self._check.see(result)
        while await self.peek() is not None:
            self._check.see(self._read.popleft())

    def _offer(self, result: Published, keys: set[bytes | None]) -> None:
        """Show a result to the check, or let it wait. Results of one key stay in order."""
        if result.key not in keys and self._check.is_ready(result):
            self._check.see(result)
        else:
            self._waiting.append(result)
            keys.add(result.key)

    def _nothing_more(self) -> None:
        if isinstance(self._check, LabelledCheck) and not self._waiting:
            self._check.miss_all()


async def _finals(source: Source, snapshot: Snapshot, check: FinalsCheck) -> Follower:
    follower = Follower(read_results(source, snapshot, "windows"), check, look_ahead=LOOK_AHEAD)
    if snapshot.extents["windows"].start > 0:
        first = await follower.peek()
        check.begin_at(first.timestamp_ms + CLOCKS_MS if first else NEVER_MS)
    return follower


async def read_results(
    source: Source, snapshot: Snapshot, kind: str, extent: Extent | None = None
) -> AsyncIterator[list[Published]]:
    """Yield the results of one kind, up to the snapshot or in another extent."""
    extent = extent or snapshot.extents[kind]
    async for batch in source.records(kind, snapshot.partition, extent):
        yield [_published(one) for one in batch]


async def read_unforeseen(source: Source, snapshot: Snapshot) -> set[int]:
    """Return the input offsets that the worker rejected because its code raised an error.

    The newest of them are in the commit too, which outlives the retention of the rejected topic.
    """
    said = json_object(snapshot.committed.metadata) if snapshot.committed else {}
    named = said.get("unforeseen")
    found = {one for one in named if isinstance(one, int)} if isinstance(named, list) else set()
    async for batch in read_results(source, snapshot, "rejected"):
        found |= unforeseen_in(batch)
    return found


async def _written_since(source: Source, snapshot: Snapshot) -> set[bytes]:
    """Return the keys of rows after the snapshot.

    Compaction may have removed their older versions.
    """
    stop = snapshot.extents["updates"].stop
    extent = Extent(stop, await source.end("updates", snapshot.partition))
    return {
        row.key or b""
        async for batch in read_results(source, snapshot, "updates", extent)
        for row in batch
    }


def _published(one: LogRecord) -> Published:
    return Published(one.offset, one.key, one.value, one.headers, one.timestamp_ms)


def _swept_to(committed: Committed | None, *, expect_swept: bool | None) -> int:
    """Return the time up to which final windows must have been published."""
    if expect_swept is not None:
        return NEVER_MS if expect_swept else -NEVER_MS
    sweep = json_object(committed.metadata).get("sweep") if committed else None
    closed_to = sweep.get("closed_to_ms") if isinstance(sweep, dict) else None
    return closed_to if isinstance(closed_to, int) else NEVER_MS
