"""Checks whether an answer of another worker fits the question. Pure.

The decoder checks types and ranges. This module checks what only the question determines: the
number of accounts, the partitions, the rankings, the number of places, and the largest size in
bytes.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from service.web.peer_protocol import Looked, Question, ShardBoard, ShardTop, Told, TopQuestion
from service.web.responses import Account, Freshness, ShardStatus

_BASE: Final = 65_536
_PER_PARTITION: Final = 2_048
_PER_ACCOUNT: Final = 4_096
_PER_WINDOW: Final = 256
_MOST_WINDOWS: Final = 66
"""Of one grain: keep / grain <= 64, plus the open windows."""
_PER_PLACE: Final = 4_096


def most_bytes(question: Question, partitions: int, grains: int) -> int:
    """Return the size in bytes of the longest possible answer."""
    accounts = len(question.accounts) * (_PER_ACCOUNT + grains * _MOST_WINDOWS * _PER_WINDOW)
    places = 0
    if question.top is not None:
        places = 2 * len(question.top.rankings) * question.top.n * _PER_PLACE
    return _BASE + partitions * _PER_PARTITION + accounts + places


def why_wrong(told: Told, question: Question, *, partitions: int, grains: Collection[str]) -> str:
    """Return why the answer does not fit the question; "" if it fits."""
    if len(told.accounts) != len(question.accounts):
        return f"{len(told.accounts)} accounts instead of {len(question.accounts)}"
    for (partition, account_id), looked in zip(question.accounts, told.accounts, strict=True):
        if not _is_of(looked, partition, account_id, grains):
            return "an account that was not requested, or counts that contradict each other"
    if not _are_tops(told.top, question.top, partitions):
        return "leaders that were not requested"
    if not _are_statuses(told.shards, is_asked=question.service, partitions=partitions):
        return "shards that do not exist"
    return ""


def _is_of(looked: Looked, partition: int, account_id: str, grains: Collection[str]) -> bool:
    fresh, row = looked.freshness, looked.row
    if fresh is None:
        return row is None
    if fresh.partition != partition:
        return False
    return row is None or (
        row.account_id == account_id
        and row.freshness.partition == partition
        and row.windows.keys() == set(grains)
        and _adds_up(row)
    )


def _adds_up(row: Account) -> bool:
    windows = [window for found in row.windows.values() for window in found]
    return row.net == row.gained - row.lost and all(
        one.net == one.gained - one.lost and one.start_ms < one.end_ms for one in windows
    )


def _are_tops(tops: list[ShardTop], asked: TopQuestion | None, partitions: int) -> bool:
    if asked is None:
        return not tops
    return _are_partitions([one.freshness for one in tops], partitions) and all(
        _is_board(board, asked) for one in tops for board in (one.current, one.final)
    )


def _is_board(board: ShardBoard, asked: TopQuestion) -> bool:
    return board.rankings.keys() == set(asked.rankings) and all(
        len(places) <= asked.n for places in board.rankings.values()
    )


def _are_statuses(shards: list[ShardStatus], *, is_asked: bool, partitions: int) -> bool:
    if not is_asked:
        return not shards
    return _are_partitions(shards, partitions) and all(
        one.freshness is None or one.freshness.partition == one.partition for one in shards
    )


def _are_partitions(found: Collection[Freshness | ShardStatus], partitions: int) -> bool:
    numbers = {one.partition for one in found}
    return len(numbers) == len(found) and all(number < partitions for number in numbers)
