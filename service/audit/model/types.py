"""The types of the model: its rules, an account, a window, and the outcome of a record.

Times are epoch milliseconds.
"""

from dataclasses import dataclass
from typing import NamedTuple

from service.audit.model.input_record import NEWEST, Arrival

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

Content = tuple[int, int]  # gained, lost
WindowKey = tuple[str, str, int]  # account_id, grain, start_ms


class Grain(NamedTuple):
    """One window length, its grace until it is final, and the time it takes corrections."""

    name: str
    size_ms: int
    grace_ms: int
    keep_ms: int


DEFAULT_GRAINS = (
    Grain("1m", MINUTE_MS, 30_000, 15 * MINUTE_MS),
    Grain("1h", HOUR_MS, MINUTE_MS, 3 * HOUR_MS),
    Grain("1d", DAY_MS, 5 * MINUTE_MS, 2 * DAY_MS),
)


@dataclass(frozen=True)
class Rules:
    """The settings that change results."""

    grains: tuple[Grain, ...] = DEFAULT_GRAINS
    max_ahead_ms: int = 10_000
    dedup_generation: int = 131_072
    expire_after_ms: int = 0  # 0: never
    versions: tuple[tuple[int, int], ...] = ((0, NEWEST),)  # (first offset, version), in order
    skipped: tuple[tuple[int, int], ...] = ()  # [first, stop) that an operator has stepped over

    def skipped_from(self, offset: int) -> int:
        """Return the number of offsets in the skipped range that starts at `offset`, or 0."""
        return next((stop - first for first, stop in self.skipped if first == offset), 0)

    def version_at(self, offset: int) -> int:
        """Return the version of the rules that judged an offset."""
        first = self.versions[:1]
        return max([pair for pair in self.versions if pair[0] <= offset] or first)[1]


class Judgement(NamedTuple):
    """The outcome of one record, and why. `duplicate_of`: offset where its event was first seen."""

    outcome: str
    arrival: Arrival | None = None
    event_time_ms: int | None = None
    grains_missed: tuple[str, ...] = ()
    duplicate_of: int | None = None
    reasons: tuple[str, ...] = ()
    another: tuple[str, int] | None = None  # same id, other action: (action, offset)
    is_ignored: bool = False  # a baseline that is older than the last one
    is_contained: bool = False  # before the last baseline, whose number contains it


class Late(NamedTuple):
    """A counted event that came too late for the window of at least one grain."""

    offset: int
    event_time_ms: int
    watermark_ms: int
    grains_missed: tuple[str, ...]


class Rejected(NamedTuple):
    """A record that could not be counted, and why."""

    offset: int
    reason: str


class Final(NamedTuple):
    """The newest revision of a window."""

    revision: int
    gained: int
    lost: int


@dataclass(slots=True)
class Account:
    """Totals of one account since counting began."""

    gained: int = 0
    lost: int = 0
    last_event_ms: int = -1
    offset: int = -1
    baseline: int | None = None
    net_at_baseline: int | None = None
    baseline_ms: int | None = None  # when it was true; None by version 1 of the rules
    reaches_back: bool = False  # windows from before it arrived count on top of it
    is_doubtful: bool = False  # cut log: an unknown earlier one may be newer

    @property
    def is_empty(self) -> bool:
        """True if nothing is counted: the account was forgotten and had no event since."""
        return self.gained == self.lost == 0 and self.baseline is None

    @property
    def net(self) -> int:
        """Followers gained minus followers lost."""
        return self.gained - self.lost

    @property
    def followers(self) -> int | None:
        """Followers now; None without a baseline."""
        if self.baseline is None or self.net_at_baseline is None:
            return None
        return self.baseline + self.net - self.net_at_baseline
