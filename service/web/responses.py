"""The answers of the API, as types. JSON and the OpenAPI schemas come from these types.

Times are epoch milliseconds. An offset is that of the next record: the answer contains every record
before it.
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
"""The lists of each order."""

AccountId = Annotated[str, Meta(description="Account id, 1 to 256 bytes of UTF-8.")]
MOST_MS: Final = 253_402_300_799_999
"""The end of the year 9999."""
MOST: Final = 2**63 - 1
Millis = Annotated[int, Meta(ge=0, le=MOST_MS, description="Epoch milliseconds.")]
Count = Annotated[int, Meta(ge=0, le=MOST)]
Signed = Annotated[int, Meta(ge=-MOST, le=MOST)]


class Freshness(msgspec.Struct, frozen=True, gc=False):
    """The part of the log that an answer contains, and the age of the answer."""

    partition: Count
    owner: Annotated[
        str,
        Meta(max_length=300, description="URL of the worker that counts this partition."),
    ]
    watermark_ms: Annotated[
        Millis | None, Meta(description="Largest event time seen; null before the first event.")
    ]
    applied_offset: Annotated[
        int, Meta(ge=0, le=MOST, description="The answer contains every record before this offset.")
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
            ge=0,
            le=MOST,
            description="Age of the answer in milliseconds: at that moment it "
            "contained every record in the log.",
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
        Signed | None, Meta(description="Baseline plus net since then; null without a baseline.")
    ]
    baseline: Count | None
    last_event_ms: Millis
    offset: Annotated[
        int, Meta(ge=0, le=MOST, description="Offset of the last record that changed this row.")
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
    """One place of a ranking: largest value first, equal values by account id."""

    account_id: AccountId
    value: Annotated[
        int,
        Meta(
            ge=1,
            le=MOST,
            description="For losers: lost minus gained. For growing and shrinking: the absolute "
            "value of net divided by followers before the window, in parts per billion.",
        ),
    ]
    trail: Annotated[
        list[tuple[Millis, Signed]],
        Meta(description="[start_ms, net] of each kept window of the grain `trail`, oldest first."),
    ]


class Board(msgspec.Struct, frozen=True, gc=False):
    """The rankings of one window over all shards."""

    start_ms: Annotated[int | None, Meta(description="Null before the first window.")]
    end_ms: int | None
    state: WindowState
    is_exact: Annotated[bool, Meta(description="False while a shard recomputes its first places.")]
    pending_partitions: Annotated[
        list[int],
        Meta(
            description="Partitions that have not published this window yet. Their accounts "
            "are missing."
        ),
    ]
    rankings: dict[Ranking, list[Place]]


class Top(msgspec.Struct, frozen=True, gc=False):
    """Accounts that gain and lose most, in the current window and in the last final one."""

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
    """One partition. The state is `unknown` if its owner does not answer."""

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
    """The rule of one window length; `is_ranked`: it has a leaderboard."""

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
    generation: Annotated[
        int, Meta(description="Generation of the consumer group; -1 before the first.")
    ]
    is_rebalancing: bool
    is_complete: Annotated[bool, Meta(description="True if every partition has answered.")]
    now_ms: Millis
    lag_records: Annotated[int, Meta(description="Lag of the shards that have answered.")]
    accounts: Count
    outcomes: Outcomes
    grains: list[GrainRule]
    settings: Annotated[
        dict[str, str | int],
        Meta(description="The fingerprint: the settings that results depend on."),
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
