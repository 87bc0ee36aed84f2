"""What an honest service publishes for a small log, so that each test can spoil one thing of it."""

import hashlib
import json
from dataclasses import dataclass, field

from service.audit.comparison import Comparison, compare
from service.audit.findings import Findings
from service.audit.model.counting import LogRecord, Model, Rules
from service.audit.published import Committed, Place, Published
from tests.unit.audit.records import DAY, HOUR, MINUTE, baseline, event, heartbeat, record

TOPIC = "follow-events"

LOG = [
    record(baseline(0, 100), 0),
    record(event(1), 1),
    record(event(2, account="carol"), 2),
    record(event(1), 3),
    record(event(3 * MINUTE), 4),
    record(event(3, "unfollow"), 5),
    LogRecord(6, -1, b"alice", b"not JSON", []),
    LogRecord(7, -1, b"k" * 2_000, b"x" * 70_000, []),
    LogRecord(8, -1, None, None, []),
    record(event(4 * HOUR, account="carol"), 9),
    record(event(4), 10),
    heartbeat(DAY + HOUR, 11),
    record(event(5, "unfollow"), 12),
]


@dataclass
class Service:
    """All that was published for partition 3 of a log, and what was committed."""

    results: dict[str, list[Published]]
    committed: Committed | None
    log: list[LogRecord] = field(default_factory=lambda: list(LOG))

    def audit(self, *, at_least_once: bool = False, expect_swept: bool = True) -> Findings:
        """Compare the log with what was published."""
        findings = Findings()
        place = Place(TOPIC, 3, at_least_once)
        comparison = Comparison(Rules(), place, findings)
        for one in self.log:
            comparison.feed(one)
        compare(comparison, self.committed, dict(self.results), expect_swept=expect_swept)
        return findings

    def spoil(self, kind: str, index: int, **fields: object) -> None:
        """Change fields of one published JSON value."""
        spoilt = self.results[kind][index]
        value = {**json.loads(spoilt.value or b""), **fields}
        self.results[kind][index] = spoilt._replace(value=json.dumps(value).encode())

    def relabel(self, kind: str, index: int, name: str, value: bytes) -> None:
        """Change one header of a late or rejected record."""
        spoilt = self.results[kind][index]
        headers = [(n, value if n == name else v) for n, v in spoilt.headers]
        self.results[kind][index] = spoilt._replace(headers=headers)

    def recommit(self, **fields: object) -> None:
        """Change fields of the committed metadata."""
        assert self.committed is not None
        metadata = {**json.loads(self.committed.metadata), **fields}
        self.committed = self.committed._replace(metadata=json.dumps(metadata))


def honest() -> Service:
    """Publish everything as it should be: all revisions, all rows, all refused records."""
    model = Model(Rules())
    for one in LOG:
        model.feed(one)
    results = {
        "updates": [_row(model, account_id) for account_id in model.accounts],
        "windows": list(_finals(model)),
        "late": [_late(model, index) for index in range(len(model.late))],
        "rejected": [_rejected(offset, reason) for offset, reason in model.rejected],
    }
    metadata = {"v": 1, "watermark_ms": model.watermark_ms, "counts": model.counts}
    return Service(results, Committed(len(LOG), json.dumps(metadata)))


def _row(model: Model, account_id: str) -> Published:
    account = model.accounts[account_id]
    windows: dict[str, list[list[int]]] = {"1m": [], "1h": [], "1d": []}
    for (owner, grain, start_ms), final in model.kept().items():
        if owner == account_id:
            windows[grain].append([start_ms, final.gained, final.lost, final.revision])
    row = {
        "account_id": account_id,
        "gained": account.gained,
        "lost": account.lost,
        "net": account.gained - account.lost,
        "followers": account.followers,
        "baseline": account.baseline,
        "net_at_baseline": account.net_at_baseline,
        "last_event_ms": account.last_event_ms,
        "offset": account.offset,
        "windows": windows,
    }
    if account.baseline_ms is not None:
        row["baseline_ms"] = account.baseline_ms
    return Published(0, account_id.encode(), json.dumps(row).encode(), [])


def _finals(model: Model) -> list[Published]:
    sizes_ms = {grain.name: grain.size_ms for grain in model.rules.grains}
    published: list[Published] = []
    for account_id, grain, start_ms in model.finals():
        for revision, (gained, lost) in enumerate(model.windows[account_id, grain, start_ms]):
            result = {
                "account_id": account_id,
                "grain": grain,
                "start_ms": start_ms,
                "end_ms": start_ms + sizes_ms[grain],
                "gained": gained,
                "lost": lost,
                "net": gained - lost,
                "revision": revision,
            }
            if gained + lost:
                value = json.dumps(result).encode()
                published.append(Published(len(published), account_id.encode(), value, []))
    return published


def _source(offset: int) -> list[tuple[str, bytes]]:
    return [
        ("netfollowers-source-topic", TOPIC.encode()),
        ("netfollowers-source-partition", b"3"),
        ("netfollowers-source-offset", str(offset).encode()),
    ]


def _late(model: Model, index: int) -> Published:
    late = model.late[index]
    headers = [
        *_source(late.offset),
        ("netfollowers-event-time-ms", str(late.event_time_ms).encode()),
        ("netfollowers-watermark-ms", str(late.watermark_ms).encode()),
        ("netfollowers-grains-missed", ",".join(late.grains_missed).encode()),
    ]
    return Published(index, LOG[late.offset].key, LOG[late.offset].value, headers)


def _rejected(offset: int, reason: str) -> Published:
    key, value = LOG[offset].key, LOG[offset].value
    whole = value or b""
    headers = [
        *_source(offset),
        ("netfollowers-reason", reason.encode()),
        ("netfollowers-detail", b"..."),
        ("netfollowers-original-length", str(len(whole)).encode()),
        ("netfollowers-sha256", hashlib.sha256(whole).hexdigest().encode()),
        ("netfollowers-truncated", b"true" if len(whole) > 65_536 else b"false"),
        ("netfollowers-original-key-length", str(len(key or b"")).encode()),
        ("netfollowers-version", b"1"),
    ]
    return Published(0, key and key[:1_024], value and value[:65_536], headers)
