"""What the API answers, as types: JSON and the OpenAPI schemas come from them.

Times are epoch milliseconds. An offset is the next record's: all before it are contained.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

By = Literal["net", "gained", "lost", "growth"]
Ranking = Literal["gainers", "losers", "gained", "lost", "growing", "shrinking"]
WindowState = Literal["open", "final"]
ShardState = Literal["opening", "held", "running", "closed", "unknown"]

RANKINGS: Final[dict[By, tuple[Ranking, ...]]] = {
    "net": ("gainers", "losers"),
    "gained": ("gained",),
    "lost": ("lost",),
    "growth": ("growing", "shrinking"),
}
"""The lists that an order consists of."""

AccountId = Annotated[str, Meta(description="Account id, 1 to 256 bytes of UTF-8.")]
MOST_MS: Final = 253_402_300_799_999
"""The end of the year 9999."""
MOST: Final = 2**63 - 1
Millis = Annotated[int, Meta(ge=0, le=MOST_MS, description="Epoch milliseconds.")]
Count = Annotated[int, Meta(ge=0, le=MOST)]
Signed = Annotated[int, Meta(ge=-MOST, le=MOST)]


class Freshness(msgspec.Struct, frozen=True, gc=False):
    """What of the log an answer contains, and how old that is."""

    partition: Count
    owner: Annotated[
        str,
        Meta(max_length=300, description="Address of the worker that counts this partition."),
    ]
    watermark_ms: Annotated[
        Millis | None, Meta(description="Largest event time seen; null before the first event.")
    ]
    applied_offset: Annotated[
        int, Meta(ge=0, le=MOST, description="Every record before this offset is contained.")
    ]
    committed_offset: Annotated[
        int,
        Meta(
            ge=0,
            le=MOST,
            description="Every record before this offset is durable in the result topics.",
        ),
    ]
    age_ms: Annotated[
        int,
        Meta(
            ge=0, le=MOST, description="So long ago the answer was certainly up to the log's end."
        ),
    ]


class Window(msgspec.Struct, frozen=True, gc=False):
    """One kept window [start_ms, end_ms). `open`: provisional; `final`: published."""

    start_ms: Millis
    end_ms: Millis
    gained: Count
    lost: Count
    net: Signed
    revision: Count
    state: WindowState


class Account(msgspec.Struct, frozen=True, gc=False):
    """One account's row: totals since counting began, and its kept windows by grain."""

    account_id: AccountId
    gained: Count
    lost: Count
    net: Signed
    followers: Annotated[
        Signed | None, Meta(description="Baseline plus net since; null when no baseline was told.")
    ]
    baseline: Count | None
    last_event_ms: Millis
    offset: Annotated[
        int, Meta(ge=0, le=MOST, description="The last record that changed this row.")
    ]
    windows: dict[str, list[Window]]
    freshness: Freshness


class Windows(msgspec.Struct, frozen=True, gc=False):
    """One account's kept windows of one grain, oldest first."""

    account_id: AccountId
    grain: str
    windows: list[Window]
    freshness: Freshness


class Place(msgspec.Struct, frozen=True, gc=False):
    """One place of a ranking: largest value first, equal ones by account id."""

    account_id: AccountId
    value: Annotated[
        int,
        Meta(
            ge=1,
            le=MOST,
            description="Of losers: how many more were lost than gained. Of growing and shrinking: "
            "net over followers before the window, in parts per billion, without its sign.",
        ),
    ]
    trail: Annotated[
        list[tuple[Millis, Signed]],
        Meta(description="(start_ms, net) of the kept windows of the grain `trail`, oldest first."),
    ]


class Board(msgspec.Struct, frozen=True, gc=False):
    """The rankings of one window over all shards."""

    start_ms: Annotated[int | None, Meta(description="Null before the first window.")]
    end_ms: int | None
    state: WindowState
    is_exact: Annotated[
        bool, Meta(description="False while a shard looks again who has come to the first places.")
    ]
    pending_partitions: Annotated[
        list[int],
        Meta(description="Partitions in which this window is not final yet: they are not in it."),
    ]
    rankings: dict[Ranking, list[Place]]


class Top(msgspec.Struct, frozen=True, gc=False):
    """Who gains and loses most, in the current window and in the last final one."""

    grain: str
    by: By
    n: int
    current: Board
    final: Board
    shards: list[Freshness]


class Outcomes(msgspec.Struct, frozen=True, gc=False):
    """The five outcomes of records; they sum to the records seen."""

    applied: Count = 0
    late: Count = 0
    duplicate: Count = 0
    rejected: Count = 0
    heartbeat: Count = 0


class ShardStatus(msgspec.Struct, frozen=True, gc=False):
    """One partition. Without an answer of its owner the state is `unknown`."""

    partition: Count
    owner: Annotated[str, Meta(max_length=300)] | None
    state: ShardState
    freshness: Freshness | None = None
    lag_records: Count | None = None
    accounts: Count | None = None
    outcomes: Outcomes | None = None


class WorkerStatus(msgspec.Struct, frozen=True, gc=False):
    """One worker of the group."""

    url: str
    partitions: list[int]
    is_answering: bool


class GrainRule(msgspec.Struct, frozen=True, gc=False):
    """The length of windows; `is_ranked`: leaders are kept of it."""

    name: str
    size_ms: Count
    grace_ms: Count
    keep_ms: Count
    is_ranked: bool


class Service(msgspec.Struct, frozen=True, gc=False):
    """The whole service as this worker knows it."""

    version: str
    app_id: str
    guarantee: str
    input_topic: str
    partitions: Count
    generation: Annotated[int, Meta(description="Of the consumer group; -1 before the first.")]
    is_rebalancing: bool
    is_complete: Annotated[bool, Meta(description="True when every partition has answered.")]
    now_ms: Millis
    lag_records: Annotated[int, Meta(description="Of the shards that have answered.")]
    accounts: Count
    outcomes: Outcomes
    grains: list[GrainRule]
    settings: Annotated[
        dict[str, str | int], Meta(description="The fingerprint: what results depend on.")
    ]
    workers: list[WorkerStatus]
    shards: list[ShardStatus]


class Problem(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    retry_after_s: int | None = None
    freshness: Freshness | None = None


encode = msgspec.json.Encoder().encode
