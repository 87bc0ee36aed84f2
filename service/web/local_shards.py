"""Answers from the shards of this worker. Knows no HTTP and no other worker.

Each account, and the boards of each shard, show one moment between two batches. Between two of them
the event loop may turn, so that no request holds it for long. After a turn the shards are looked up
again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from service.counting.leaders import Board
from service.counting.rows import GAINED, LOST, REVISION, Row
from service.web import merge as merging
from service.web.loop_turns import BOARDS, LOOK, Turns
from service.web.peer_protocol import Looked, Question, ShardBoard, ShardTop, Told, TopQuestion
from service.web.responses import (
    Account,
    Freshness,
    Outcomes,
    Place,
    ShardStatus,
    Window,
    WindowState,
)

if TYPE_CHECKING:
    from service.counting import Engine
    from service.runtime.lag import Lag
    from service.runtime.shard import Shard
    from service.settings import Settings


_STALL_S: Final = 2.0
_SILENT_S: Final = 0.5
"""Longer than a fetch can wait at the broker, and longer than a commit that fences this worker."""


class Local:
    """What this worker counts. `url`: where the other workers find it."""

    def __init__(self, settings: Settings, shards: Iterable[Shard[Engine]], lag: Lag) -> None:
        """`shards`: all shards that the worker holds, also those that are still opening."""
        self.url = ""
        self._settings = settings
        self._grains = settings.rules.grains
        self._names = {grain.name: index for index, grain in enumerate(self._grains)}
        self._shards = shards
        self._lag = lag
        self._beat_s = float("inf")
        self._silent_until_s = 0.0

    def beat(self) -> None:
        """Note that the event loop turns. The worker calls it several times a second."""
        now = time.monotonic()
        self._note_stall(now)
        self._beat_s = now

    def _note_stall(self, now: float) -> None:
        if now - self._beat_s > _STALL_S:
            self._silent_until_s = now + _SILENT_S

    def running(self) -> dict[int, Shard[Engine]]:
        """Return the running shards by partition; {} for half a second after a stall.

        After a freeze, the socket still holds responses that the broker sent before it. The worker
        would take them for new ones, so it does not answer until they are read.
        """
        now = time.monotonic()
        self._note_stall(now)
        if now < self._silent_until_s:
            return {}
        return {shard.partition: shard for shard in self._shards if shard.is_running}

    def holds(self, partition: int) -> bool:
        """Tell whether this worker holds a shard of the partition, in any state."""
        return any(shard.partition == partition for shard in self._shards)

    async def answer(self, question: Question) -> Told:
        """Answer each part of the request."""
        return Told(
            self._settings.app_id,
            await self.looks(question.accounts),
            await self.tops(question.top) if question.top else [],
            self.statuses() if question.service else [],
        )

    async def looks(self, wanted: Sequence[tuple[int, str]]) -> list[Looked]:
        """Look up each (partition, account id) in its partition."""
        turns, shards, found = Turns(), self.running(), []
        for partition, key in wanted:
            looked = self.look(shards.get(partition), key)
            found.append(looked)
            windows = looked.row.windows.values() if looked.row is not None else ()
            if await turns.spent(LOOK + sum(map(len, windows))):
                shards = self.running()
        return found

    def look(self, shard: Shard[Engine] | None, account_id: str) -> Looked:
        """Look an account up in a shard.

        `shard` is None if this worker does not count the partition.
        """
        if shard is None:
            return Looked(None, None)
        freshness = self.freshness(shard)
        row = shard.engine.row(account_id.encode())
        if row is None:
            return Looked(freshness, None)
        return Looked(freshness, self._account(account_id, row, shard, freshness))

    def freshness(self, shard: Shard[Engine]) -> Freshness:
        """Describe the part of the log that the shard contains."""
        engine = shard.engine
        return Freshness(
            shard.partition,
            self.url,
            engine.watermark_ms if engine.watermark_ms >= 0 else None,
            engine.position,
            shard.committed_offset,
            self._age_ms(shard),
        )

    def _age_ms(self, shard: Shard[Engine]) -> int:
        """Return the milliseconds for which a record may be missing from the answer.

        This is the age of the oldest waiting record, or of the last fetch if that is older. A
        record that an open transaction hides is a waiting record too.
        """
        silent_s = max(0.0, time.time() - (shard.answered_s or shard.committed_s))
        waiting_s = max(self._lag.age_s(shard), self._lag.hidden_s(shard))
        return round(1_000 * max(silent_s, waiting_s))

    def _account(
        self, account_id: str, row: Row, shard: Shard[Engine], freshness: Freshness
    ) -> Account:
        net = row.gained - row.lost
        windows = {name: self._windows(row, name, shard) for name in self._names}
        return Account(
            account_id,
            row.gained,
            row.lost,
            net,
            row.followers,
            row.baseline,
            row.last_event_ms,
            row.offset,
            windows,
            freshness,
        )

    def _windows(self, row: Row, name: str, shard: Shard[Engine]) -> list[Window]:
        """Return the kept windows.

        A row drops expired windows only when it changes, so skip them here.
        """
        index, watermark = self._names[name], shard.engine.watermark_ms
        grain = self._grains[index]
        found = []
        for window in row.windows[index]:
            start, gained, lost = window[0], window[GAINED], window[LOST]
            end = start + grain.size_ms
            if watermark < end + grain.keep_ms:
                is_open = watermark < end + grain.grace_ms
                state: WindowState = "open" if is_open else "final"
                found.append(
                    Window(start, end, gained, lost, gained - lost, window[REVISION], state)
                )
        return found

    # ---- leaders

    async def tops(self, question: TopQuestion) -> list[ShardTop]:
        """Return the boards of every shard at its last seal. Only possible leaders get trails."""
        turns, boards = Turns(), []
        for partition in self.running():
            shard = self.running().get(partition)
            if shard is not None:
                boards.append(self._top(shard, question))
                await turns.spent(BOARDS)
        found = merging.cut(boards, question.n)
        if question.trail is not None:
            await self._add_trails(found, question.trail, turns)
        return found

    def _top(self, shard: Shard[Engine], question: TopQuestion) -> ShardTop:
        leaders = shard.engine.leaders[self._names[question.grain]]
        return ShardTop(
            msgspec.structs.replace(self.freshness(shard), applied_offset=shard.sealed_offset),
            self._board(leaders.current, question),
            self._board(leaders.final, question),
        )

    def _board(self, board: Board, question: TopQuestion) -> ShardBoard:
        rankings = {
            name: [
                Place(key.decode(), value, [])
                for key, value in board.ranking(name).first(question.n)
            ]
            for name in question.rankings
        }
        is_exact = board.is_exact and board.heir is None
        start_ms = max(-1, board.start_ms)  # below 0: the partition has no events
        return ShardBoard(start_ms, is_exact, rankings)

    async def _add_trails(self, tops: Iterable[ShardTop], trail: str, turns: Turns) -> None:
        for top in tops:
            for board in (top.current, top.final):
                for place in (one for places in board.rankings.values() for one in places):
                    shard = self.running().get(top.freshness.partition)
                    if shard is not None:
                        place.trail.extend(self._trail(shard, place.account_id.encode(), trail))
                    await turns.spent(LOOK + len(place.trail))

    def _trail(self, shard: Shard[Engine], key: bytes, name: str) -> list[tuple[int, int]]:
        row = shard.engine.row(key)
        if row is None:
            return []
        return [(window.start_ms, window.net) for window in self._windows(row, name, shard)]

    # ---- the service

    def statuses(self) -> list[ShardStatus]:
        """Return the status of every shard of this worker, in any state."""
        return [self._status(shard) for shard in self._shards]

    def _status(self, shard: Shard[Engine]) -> ShardStatus:
        if not shard.is_running:
            return ShardStatus(shard.partition, self.url, shard.state.value)
        counts = shard.engine.counts
        return ShardStatus(
            shard.partition,
            self.url,
            shard.state.value,
            self.freshness(shard),
            self._lag.records(shard),
            shard.engine.accounts,
            Outcomes(
                counts.applied, counts.late, counts.duplicate, counts.rejected, counts.heartbeat
            ),
        )
