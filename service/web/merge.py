"""Merges the boards and counts of many shards. Pure.

A shard whose watermark is before a window has no event in it, so the current window of the other
shards is exact without it. A final window is complete only when every shard that may have events of
it has published it. Until then the answer lists the missing partitions in `pending_partitions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from service.web.peer_protocol import ShardBoard, ShardTop
from service.web.responses import (
    RANKINGS,
    Board,
    By,
    GrainRule,
    Outcomes,
    Place,
    ShardStatus,
    Top,
    WindowState,
)


def top(grain: GrainRule, by: By, n: int, shards: Sequence[ShardTop]) -> Top:
    """Merge the boards of all shards for `grain`."""
    current = max((shard.current.start_ms for shard in shards), default=-1)
    final = max((shard.final.start_ms for shard in shards), default=-1)
    left_out = [shard for shard in shards if shard.current.start_ms != current >= 0]
    pending = [
        shard.freshness.partition
        for shard in shards
        if shard.final.start_ms != final and _has_seen(shard, final)
    ]
    return Top(
        grain.name,
        by,
        n,
        _board(
            _Window(grain, current, "open"),
            by,
            n,
            [shard.current for shard in shards],
            is_whole=not any(_has_seen(shard, current) for shard in left_out),
        ),
        _board(
            _Window(grain, final, "final"),
            by,
            n,
            [shard.final for shard in shards],
            pending=pending,
        ),
        [shard.freshness for shard in shards],
    )


def cut(tops: Sequence[ShardTop], n: int) -> list[ShardTop]:
    """Remove the places of one worker that cannot be among the first `n` of all workers.

    Only boards of the worker's newest window can count in the merge, and of these only the first
    `n` places. Windows and exactness of every shard stay.
    """
    currents = _cut([top.current for top in tops], n)
    finals = _cut([top.final for top in tops], n)
    return [
        ShardTop(top.freshness, current, final)
        for top, current, final in zip(tops, currents, finals, strict=True)
    ]


def _cut(boards: Sequence[ShardBoard], n: int) -> list[ShardBoard]:
    newest = max((board.start_ms for board in boards), default=-1)
    names = boards[0].rankings if boards else {}
    leading = {
        name: {
            place.account_id
            for place in _first(
                n,
                [
                    place
                    for board in boards
                    if board.start_ms == newest
                    for place in board.rankings[name]
                ],
            )
        }
        for name in names
    }
    return [
        ShardBoard(
            board.start_ms,
            board.is_exact,
            {
                name: [
                    place
                    for place in places
                    if board.start_ms == newest and place.account_id in leading[name]
                ]
                for name, places in board.rankings.items()
            },
        )
        for board in boards
    ]


class _Window(NamedTuple):
    grain: GrainRule
    start_ms: int
    state: WindowState


def _has_seen(shard: ShardTop, start_ms: int) -> bool:
    """Tell whether the shard may have events of the window that starts at `start_ms`."""
    watermark_ms = shard.freshness.watermark_ms
    return watermark_ms is not None and watermark_ms >= start_ms >= 0


def _board(  # noqa: PLR0913 - one window
    window: _Window,
    by: By,
    n: int,
    boards: Iterable[ShardBoard],
    *,
    is_whole: bool = True,
    pending: Sequence[int] = (),
) -> Board:
    grain, start_ms, state = window
    of_window = [board for board in boards if board.start_ms == start_ms >= 0]
    return Board(
        start_ms if start_ms >= 0 else None,
        start_ms + grain.size_ms if start_ms >= 0 else None,
        state,
        is_whole and all(board.is_exact for board in of_window),
        list(pending),
        {
            name: _first(n, [place for board in of_window for place in board.rankings[name]])
            for name in RANKINGS[by]
        },
    )


def _first(n: int, places: list[Place]) -> list[Place]:
    """Return the first `n`: by value descending, then by id (code points sort like UTF-8)."""
    return sorted(places, key=lambda place: (-place.value, place.account_id))[:n]


def outcomes(shards: Iterable[ShardStatus]) -> Outcomes:
    """Sum the outcomes of the shards that have answered."""
    known = [shard.outcomes for shard in shards if shard.outcomes is not None]
    return Outcomes(
        *(sum(getattr(one, name) for one in known) for name in Outcomes.__struct_fields__)
    )
