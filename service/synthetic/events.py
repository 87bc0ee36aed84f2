"""Synthetic follow events from a seed. Pure: time is an argument, and nothing is sent here.

Every event has `"synthetic": true`, a field that the service ignores. `batch_sender.py` sends the
records to a topic, and the command `generate` can write them to a file.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from service.contract.input_record import HEARTBEAT_HEADER, Headers
from service.counting import Grain
from service.counting.rules import DEFAULT_GRAINS
from service.synthetic.bad_records import SPOILERS, Good
from service.synthetic.surges import Mover, Surges

Kind = Literal["event", "duplicate", "late", "bad", "heartbeat", "baseline", "replayed"]

REPEATABLE: Final = 4_096
"""A duplicate repeats one of this many last events, well inside the dedup horizon."""
SURGE_SHARE: Final = 0.35
"""Share of the events that goes to the accounts that surge or decline, if there are any."""
LEAST_FOLLOWERS: Final = 10_000
MOST_FOLLOWERS: Final = 20_000_000
STEP_MS: Final = 100
"""The event time of `span` moves in steps of this length."""

_LATE_MARGIN_MS: Final = 60_000
_LATE_SPREAD_MS: Final = 1_800_000
_NO_HEADERS: Final[Headers] = []


class Made(NamedTuple):
    """One record, and its kind. A `late` record is late if the watermark has reached its time."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    kind: Kind


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of the events. Shares are parts of all records, from 0 to 1.

    `skew` 0: all accounts alike; else the exponent of a Pareto distribution (small: few hot ones).
    `disorder_s`: an event is |normal(0, disorder_s)| seconds older than its place in the stream.
    `late_after_ms`: how old an event must be to miss a window.
    """

    seed: int = 1
    accounts: int = 5_000
    skew: float = 0.0
    unfollow_share: float = 0.3
    disorder_s: float = 0.5
    duplicates: float = 0.0
    late: float = 0.0
    bad: float = 0.0
    surges: int = 0
    late_after_ms: int = 0

    def __post_init__(self) -> None:
        """Refuse shares that leave no room for events."""
        if self.duplicates + self.late + self.bad > 1:
            message = "the shares of duplicates, late and bad add up to more than 1"
            raise ValueError(message)


def late_after_ms(grains: tuple[Grain, ...] | None = None) -> int:
    """Return the age (ms) at which an event surely misses a window of the smallest grain."""
    known = grains or tuple(Grain.parse(text) for text in DEFAULT_GRAINS)
    smallest = min(known, key=lambda grain: grain.size_ms)
    return smallest.size_ms + smallest.keep_ms


class Synthetic:
    """An endless source. The same shape and the same calls give the same records."""

    def __init__(self, shape: Shape) -> None:
        """Start at the first record of `shape.seed`."""
        self.shape = shape
        self._random = random.Random(shape.seed)  # noqa: S311 - reproducible, not secret
        self._surges = Surges(shape.seed, slots=shape.surges, accounts=shape.accounts)
        self._recent: list[tuple[bytes, bytes]] = []
        self._made = 0
        self._late_ms = (shape.late_after_ms or late_after_ms()) + _LATE_MARGIN_MS

    def span(self, start_ms: int, *, rate: float, count: int) -> Iterator[Made]:
        """Make `count` records.

        Their times begin at `start_ms` and advance at `rate` per second.
        """
        per_step = max(1, round(rate * STEP_MS / 1_000))
        for first in range(0, count, per_step):
            now_ms = start_ms + int(first * 1_000 / rate)
            yield from self.at(now_ms, min(per_step, count - first))

    def at(self, now_ms: int, count: int) -> Iterator[Made]:
        """Make `count` records with times of about `now_ms`."""
        shape, draw = self.shape, self._random.random
        repeat = shape.duplicates
        late = repeat + shape.late
        bad = late + shape.bad
        movers = self._surges.table(now_ms)
        for _ in range(count):
            fate = draw() if bad else 1.0
            if fate >= bad:
                yield self._event(now_ms, movers, "event")
            elif fate < repeat:
                yield self._duplicate(now_ms)
            elif fate < late:
                age_ms = self._late_ms + self._random.randrange(_LATE_SPREAD_MS)
                yield self._event(now_ms - age_ms, [], "late")
            else:
                yield self._bad(now_ms)

    def baselines(self, now_ms: int) -> Iterator[Made]:
        """Make a baseline for every account. A few accounts have many followers."""
        for account in range(self.shape.accounts):
            key = b"acct-%d" % account
            followers = min(int(LEAST_FOLLOWERS * self._random.paretovariate(0.8)), MOST_FOLLOWERS)
            value = (
                b'{"event_id":"baseline-%s-%d","account_id":"%s","action":"baseline",'
                b'"followers":%d,"occurred_at":%d,"synthetic":true}'
                % (key, now_ms, key, followers, now_ms)
            )
            yield Made(key, value, _NO_HEADERS, "baseline")

    def _event(self, now_ms: int, movers: list[Mover], kind: Kind) -> Made:
        """Make an event that counts. This is the hot path, about 3 us."""
        made = self._good(now_ms, movers)
        if self.shape.duplicates:
            self._remember(made.key, made.value)
        return Made(made.key, made.value, _NO_HEADERS, kind)

    def _good(self, now_ms: int, movers: list[Mover]) -> Good:
        shape, source = self.shape, self._random
        account, unfollow_share = self._account(), shape.unfollow_share
        if movers and source.random() < SURGE_SHARE:
            account, unfollow_share = movers[int(source.random() * len(movers))]
        key = b"acct-%d" % account
        action = b"unfollow" if source.random() < unfollow_share else b"follow"
        at = now_ms
        if shape.disorder_s:
            at -= int(abs(source.gauss(0.0, shape.disorder_s)) * 1_000)
        value = (
            b'{"event_id":"%024x","account_id":"%s","follower_id":"%d","action":"%s",'
            b'"occurred_at":%d,"synthetic":true}'
            % (source.getrandbits(96), key, int(source.random() * 10_000_000), action, at)
        )
        return Good(key, value, at)

    def _duplicate(self, now_ms: int) -> Made:
        if not self._recent:
            return self._event(now_ms, [], "event")
        key, value = self._random.choice(self._recent)
        return Made(key, value, _NO_HEADERS, "duplicate")

    def _account(self) -> int:
        shape, source = self.shape, self._random
        if shape.skew:
            return int(source.paretovariate(shape.skew) - 1) % shape.accounts
        return int(source.random() * shape.accounts)

    def _remember(self, key: bytes, value: bytes) -> None:
        if len(self._recent) < REPEATABLE:
            self._recent.append((key, value))
        else:
            self._recent[self._made % REPEATABLE] = (key, value)
        self._made += 1

    def _bad(self, now_ms: int) -> Made:
        _, spoil = self._random.choice(SPOILERS)
        key, value, headers = spoil(self._good(now_ms, []))
        return Made(key, value, headers, "bad")


def heartbeat(now_ms: int) -> Made:
    """Make the record that moves the watermark of a silent partition to `now_ms`."""
    return Made(None, b'{"occurred_at":%d}' % now_ms, [(HEARTBEAT_HEADER, b"")], "heartbeat")
