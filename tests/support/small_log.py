"""Small logs written by hand, and an engine that counts them.

Grain 1m by default: a window [0----60) s is final at 90 s (grace 30) and kept until 960 s (15 min).
"""

from __future__ import annotations

import json
from typing import Any

from service.contract.input_record import HEARTBEAT_HEADER, LogRecord
from service.contract.results import Source
from service.counting import Checkpoint, Engine, Grain, Rules, Sealed

T0 = 1_700_000_040_000  # a full minute
SECOND = 1_000
MINUTE = 60_000
HOUR = 3_600_000
ONE_MINUTE = Rules(grains=(Grain.parse("1m:30s:15m"),))


class Counted:
    """An engine, the records that it got, and everything that it sealed."""

    def __init__(self, rules: Rules = ONE_MINUTE, engine: Engine | None = None) -> None:
        self.engine = engine or Engine(rules, Source("follow-events", 3))
        self.offset = self.engine.position
        self.rows: dict[str, dict[str, Any]] = {}
        self.tombstones: list[str] = []
        self.windows: list[dict[str, Any]] = []
        self.late: list[dict[str, str]] = []
        self.rejected: list[dict[str, str]] = []
        self.sealed: Sealed | None = None
        self.log: list[LogRecord] = []

    def put(self, key: bytes | None, value: bytes | None, *, stamp: int = -1, **more: Any) -> None:
        """Apply one record; `headers` may be given."""
        record = LogRecord(self.offset, stamp, key, value, more.get("headers", []))
        self.offset += 1
        self.log.append(record)
        self.engine.apply([record], self.offset)

    def event(self, at_s: float, action: str = "follow", account: str = "a", **more: Any) -> None:
        """Apply an event at T0 + `at_s` seconds."""
        stamp = more.pop("stamp", -1)
        fields: dict[str, Any] = {"event_id": f"e{self.offset}", "account_id": account}
        fields |= {
            "action": action,
            "follower_id": "f",
            "occurred_at": T0 + round(at_s * SECOND),
            **more,
        }
        fields = {name: value for name, value in fields.items() if value is not None}
        self.put(account.encode(), json.dumps(fields).encode(), stamp=stamp)

    def baseline(self, at_s: float, followers: Any, account: str = "a", **more: Any) -> None:
        more = {"follower_id": None, "followers": followers, **more}
        self.event(at_s, "baseline", account, **more)

    def forget(self, at_s: float, account: str = "a", **more: Any) -> None:
        """Apply a request to forget an account."""
        self.event(at_s, "forget", account, **{"follower_id": None, **more})

    def heartbeat(self, at_s: float, *, stamp: int = -1) -> None:
        value = json.dumps({"occurred_at": T0 + round(at_s * SECOND)}).encode()
        self.put(None, value, stamp=stamp, headers=[(HEARTBEAT_HEADER, b"")])

    def seal(self) -> Sealed:
        """Seal once and keep what came out."""
        sealed = self.sealed = self.engine.seal()
        for key, row in sealed.updates:
            if row is None:
                self.tombstones.append(key.decode())
                self.rows.pop(key.decode(), None)
            else:
                self.rows[key.decode()] = json.loads(row)
        self.windows += [json.loads(value) for _, value in sealed.windows]
        for found, records in ((self.late, sealed.late), (self.rejected, sealed.rejected)):
            found += [
                {name: (text or b"").decode(errors="replace") for name, text in one.headers}
                for one in records
            ]
        return sealed

    def seal_all(self) -> None:
        """Seal until nothing is left to seal."""
        while self.engine.has_unsealed:
            self.seal()

    def restarted(self) -> Counted:
        """Lose the engine: what was not sealed is gone, a new one takes up the last checkpoint."""
        assert self.sealed is not None
        rules, position = self.engine.rules, self.sealed.checkpoint.position
        checkpoint = Checkpoint.from_metadata(position, self.sealed.checkpoint.to_metadata())
        engine = Engine(rules, Source("follow-events", 3))
        engine.restore(checkpoint)
        engine.load((name.encode(), json.dumps(row).encode()) for name, row in self.rows.items())
        first = engine.replay_from(checkpoint)
        before = [one for one in self.log if one.offset < position]
        engine.remember(one for one in before if one.offset >= first)
        after = Counted(rules, engine)
        after.rows, after.windows, after.log = dict(self.rows), list(self.windows), before
        after.late, after.rejected = list(self.late), list(self.rejected)
        after.sealed = self.sealed
        return after

    def results(self) -> list[tuple[str, int, int, int, int]]:
        """Every published window so far: (account, start in s after T0, gained, lost, revision)."""
        self.seal()
        return [
            (w["account_id"], (w["start_ms"] - T0) // SECOND, w["gained"], w["lost"], w["revision"])
            for w in self.windows
        ]

    def counts(self) -> dict[str, int]:
        """The outcomes that occurred."""
        counts = self.engine.counts
        names = ("applied", "late", "duplicate", "rejected", "heartbeat")
        assert counts.total == sum(getattr(counts, name) for name in names)
        return {name: n for name in names if (n := getattr(counts, name))}
