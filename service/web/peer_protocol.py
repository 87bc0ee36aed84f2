"""The messages between two workers. One request contains all that a worker needs of another."""

from __future__ import annotations

from typing import Annotated, Final, get_args

import msgspec
from msgspec import Meta

from service.counting.leaders import DEPTH
from service.web.parameters import MAX_ID_BYTES
from service.web.responses import MOST_MS, Account, Freshness, Place, Ranking, ShardStatus

PATH: Final = "/internal/ask"
MOST_ACCOUNTS: Final = 100
MOST_BYTES: Final = 262_144
"""Largest size of a question: MOST_ACCOUNTS ids of 256 bytes, each byte escaped."""

_Partition = Annotated[int, Meta(ge=0, lt=1_000_000)]
_Name = Annotated[str, Meta(max_length=1_000)]


class TopQuestion(msgspec.Struct, frozen=True):
    """Asks for places of a grain's boards. `trail`: the grain of the small series of each place."""

    grain: _Name
    rankings: Annotated[tuple[Ranking, ...], Meta(max_length=len(get_args(Ranking)))]
    n: Annotated[int, Meta(ge=1, le=DEPTH)]
    trail: _Name | None


class Question(msgspec.Struct, frozen=True):
    """One request. `app_id`: another deployment at the same address must not answer it."""

    app_id: _Name
    accounts: Annotated[
        list[tuple[_Partition, Annotated[str, Meta(min_length=1, max_length=MAX_ID_BYTES)]]],
        Meta(max_length=MOST_ACCOUNTS),
    ] = []
    """(partition, account id)"""
    top: TopQuestion | None = None
    service: bool = False


class Looked(msgspec.Struct, frozen=True, gc=False):
    """The result for one account.

    `freshness` is None if the worker does not count the partition. `row` is None if there is no
    row.
    """

    freshness: Freshness | None
    row: Account | None


class ShardBoard(msgspec.Struct, frozen=True, gc=False):
    """The places of one window in one shard. `start_ms` is -1 if there is no such window yet."""

    start_ms: Annotated[int, Meta(ge=-1, le=MOST_MS)]
    is_exact: bool
    rankings: dict[Ranking, list[Place]]


class ShardTop(msgspec.Struct, frozen=True, gc=False):
    """The boards of one shard."""

    freshness: Freshness
    current: ShardBoard
    final: ShardBoard


class Told(msgspec.Struct, frozen=True):
    """One response. The accounts have the order of the question."""

    app_id: str
    accounts: list[Looked] = []
    top: list[ShardTop] = []
    shards: list[ShardStatus] = []


encode = msgspec.json.Encoder().encode
decode_question = msgspec.json.Decoder(Question).decode
decode_told = msgspec.json.Decoder(Told).decode
