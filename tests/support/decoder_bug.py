"""A bug in the decoder that one record meets."""

from __future__ import annotations

import json

import pytest

from service.contract import input_record as events
from service.contract.input_record import LogRecord, Rejection

T0 = 1_700_000_000_000
BITTEN = "bitten"


def event(offset: int, follower: str = "f") -> LogRecord:
    """A record with a header, so that the hot loop asks `judge`."""
    fields = {"event_id": f"e{offset}", "account_id": "a", "follower_id": follower}
    fields |= {"action": "follow", "occurred_at": T0 + offset}  # type: ignore[dict-item]
    return LogRecord(offset, T0, b"a", json.dumps(fields).encode(), [("trace", b"1")])


def plant(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    whole = events._bad_text

    def broken(fields: events._Known) -> Rejection | None:
        if fields.follower_id == BITTEN:
            raise error
        return whole(fields)

    monkeypatch.setattr(events, "_bad_text", broken)
