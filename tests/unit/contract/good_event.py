"""The fields of an event that is accepted."""

from __future__ import annotations

from typing import Any, Final

EVENT: Final[dict[str, Any]] = {
    "event_id": "e1",
    "account_id": "a1",
    "follower_id": "f1",
    "action": "follow",
    "occurred_at": 1_700_000_040_000,
}
