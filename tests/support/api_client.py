"""Follow events with an outcome known by plain counting, and requests to a worker."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable
from email.message import Message
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from service.synthetic.events import Made
from tests.support.patience import SILENCE_S

HOUR_MS = 3_600_000
START_MS = 1_760_000_400_000
"""The start of an hour."""

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>',
    "😀 rocket 🚀",
    "حساب من اليمين",
    "slash/../and?query#part%2F",
    "W" * 256,
    "ü" * 128,
)


class Answer(NamedTuple):
    status: int
    headers: Message[str, str]
    text: str

    @property
    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.text)


def ask(port: int, path: str, headers: dict[str, str] | None = None, **query: Any) -> Answer:
    """Send a GET. Any status is an answer."""
    address = f"http://127.0.0.1:{port}{path}{'?' + urlencode(query, doseq=True) if query else ''}"
    request = urllib.request.Request(address, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=SILENCE_S) as answer:  # noqa: S310 - http, ours
            return Answer(answer.status, answer.headers, answer.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read().decode())


def of(account: str) -> str:
    return f"/api/accounts/{quote(account, safe='')}"


def event(account: str, at_ms: int, action: str = "follow", **more: Any) -> Made:
    value = {
        "event_id": secrets.token_hex(12),
        "account_id": account,
        "follower_id": "7",
        "action": action,
        "occurred_at": at_ms,
        **more,
    }
    return Made(account.encode(), json.dumps(value).encode(), [], "event")


def baseline(account: str, at_ms: int, followers: int) -> Made:
    """How many followers an account had."""
    value = {
        "event_id": secrets.token_hex(12),
        "account_id": account,
        "action": "baseline",
        "followers": followers,
        "occurred_at": at_ms,
    }
    return Made(account.encode(), json.dumps(value).encode(), [], "baseline")


class Sums:
    """A model that shares nothing with the service: counts per account and window."""

    def __init__(self) -> None:
        self.totals: Counter[tuple[str, str]] = Counter()
        self.hours: Counter[tuple[str, int, str]] = Counter()

    def count(self, records: Iterable[Made]) -> list[Made]:
        """Count follows and unfollows. Return the records."""
        made = list(records)
        for one in made:
            assert one.value is not None
            said = json.loads(one.value)
            account, action, at = said["account_id"], said["action"], said["occurred_at"]
            self.totals[account, action] += 1
            self.hours[account, at - at % HOUR_MS, action] += 1
        return made

    def of(self, account: str) -> tuple[int, int]:
        """(gained, lost) in all."""
        return self.totals[account, "follow"], self.totals[account, "unfollow"]

    def leaders(self, start_ms: int, by: str) -> list[tuple[str, int]]:
        """Accounts of an hour by "net", "-net", "gained" or "lost", ties by id."""
        values = {}
        for account in {account for account, at, _ in self.hours if at == start_ms}:
            gained = self.hours[account, start_ms, "follow"]
            lost = self.hours[account, start_ms, "unfollow"]
            values[account] = {
                "net": gained - lost, "-net": lost - gained, "gained": gained, "lost": lost
            }[by]  # fmt: skip
        ranked = sorted((-value, account) for account, value in values.items() if value > 0)
        return [(account, -value) for value, account in ranked]
