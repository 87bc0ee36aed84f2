"""The results: rows, window results, late and rejected records, and their bytes.

Under the engine's import ban. A published field keeps its name and meaning. The tests compare these
encodings with the JSON Schemas in `service/contract/schemas/`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from service.contract.input_record import MAX_VALUE_BYTES, RawRecord, Rejection, escaped

MAX_KEY_BYTES: Final = 1_024
"""The key of a rejected record is kept up to this length. An accepted key has at most 256 bytes."""
ORIGINAL: Final = "original:"
"""Prefix of the name of each header that a late or rejected record came with."""
MAX_HEADERS_BYTES: Final = 16_384
"""If the original headers are longer, they are dropped and only their number is kept."""
FORMAT_VERSION: Final = 1

Headers = list[tuple[str, bytes | None]]
Update = tuple[bytes, bytes | None]
"""(key, value) of a row. The value None (a tombstone) removes the row."""
Window = list[int]
"""[start_ms, gained, lost, revision]"""


class ResultRecord(NamedTuple):
    """One record for a result topic. Its partition is that of the input record."""

    key: bytes | None
    value: bytes | None
    headers: Headers


class FinishedBatch(Protocol):
    """A closed record batch of magic 2: aiokafka's `BatchBuilder`, or what has its methods."""

    def size(self) -> int:
        """Bytes of the batch."""

    def record_count(self) -> int:
        """Records in it."""


class FinishedBatches(NamedTuple):
    """Batches that an engine has built by itself, for one partition of one topic.

    They are marked as transactional where the guarantee is exactly once.
    """

    batches: Sequence[FinishedBatch]


OutputRecord = tuple[bytes | None, bytes | None] | ResultRecord
"""(key, value), or with headers."""
Output = Sequence[OutputRecord] | FinishedBatches
"""What an engine writes to one topic at a seal."""
Target = str | tuple[str, int]
"""Where to: a topic, in the partition that the engine reads; or a topic and a partition."""


class ResultTopics(NamedTuple):
    """Names of the counting engine's topics; by default their roles, for an engine in memory."""

    updates: str = "updates"
    windows: str = "windows"
    late: str = "late"
    rejected: str = "rejected"


class AccountRow(msgspec.Struct, gc=False):
    """The whole row of one account, as in `net-follower-updates`.

    `net = gained - lost`. `followers = baseline + net - net_at_baseline`, null without a baseline.
    `windows`: per grain the kept windows, oldest first, each [start_ms, gained, lost, revision].
    `offset`: the last input record that this row contains. `baseline_ms`: when the baseline was
    true; left out without a baseline, and in rows of version 1 of the rules.
    """

    account_id: str
    gained: int
    lost: int
    net: int
    followers: int | None
    baseline: int | None
    net_at_baseline: int | None
    last_event_ms: int
    offset: int
    windows: dict[str, list[Window]]
    baseline_ms: int | msgspec.UnsetType = msgspec.UNSET


class WindowResult(msgspec.Struct, gc=False):
    """One final result of a window [start_ms, end_ms), or a later revision of it."""

    account_id: str
    grain: str
    start_ms: int
    end_ms: int
    gained: int
    lost: int
    net: int
    revision: int


class Source(NamedTuple):
    """The input partition that a result comes from."""

    topic: str
    partition: int


encode = msgspec.json.Encoder().encode
"""Encodes a result as JSON bytes of exact size. orjson's bytes keep a larger buffer alive."""

decode_row = msgspec.json.Decoder(AccountRow).decode


def late_record(
    record: RawRecord, source: Source, *, event_ms: int, watermark_ms: int, missed: list[str]
) -> ResultRecord:
    """Build a late record: original bytes, and the grains `missed` whose windows it missed."""
    headers = _origin(record, source)
    headers += [
        ("netfollowers-event-time-ms", b"%d" % event_ms),
        ("netfollowers-watermark-ms", b"%d" % watermark_ms),
        ("netfollowers-grains-missed", ",".join(missed).encode()),
    ]
    return ResultRecord(record.key, record.value, headers)


def rejected_record(record: RawRecord, source: Source, rejection: Rejection) -> ResultRecord:
    """Build a rejected record: its bytes up to a limit, length and SHA-256 of all, the reason."""
    key, value = record.key, record.value
    whole = value or b""
    headers = _origin(record, source)
    headers += [
        ("netfollowers-reason", rejection.reason.encode()),
        ("netfollowers-detail", rejection.detail.encode(errors="replace")),
        ("netfollowers-original-length", b"%d" % len(whole)),
        ("netfollowers-sha256", hashlib.sha256(whole).hexdigest().encode()),
        ("netfollowers-truncated", b"true" if len(whole) > MAX_VALUE_BYTES else b"false"),
        ("netfollowers-original-key-length", b"%d" % len(key or b"")),
        ("netfollowers-version", b"%d" % FORMAT_VERSION),
    ]
    return ResultRecord(
        key if key is None else key[:MAX_KEY_BYTES],
        value if value is None else value[:MAX_VALUE_BYTES],
        headers,
    )


def _origin(record: RawRecord, source: Source) -> Headers:
    """Return the marked headers of the input record (if not too large), and its place."""
    kept = [(ORIGINAL + escaped(name), value) for name, value in record.headers]
    if sum(len(name.encode()) + len(value or b"") for name, value in kept) > MAX_HEADERS_BYTES:
        kept = [("netfollowers-original-headers-dropped", b"%d" % len(kept))]
    return [
        *kept,
        ("netfollowers-source-topic", source.topic.encode()),
        ("netfollowers-source-partition", b"%d" % source.partition),
        ("netfollowers-source-offset", b"%d" % record.offset),
    ]
