"""Series of single accounts: a watch list, and the top gainers and losers of the current hour.

A series that comes and goes with every scrape is useless, and one series per account would overload
Prometheus. So an account that reaches the first K places stays until it has been behind the first 2
K for a while. There are never more series than the limit. The watch list comes first, in its order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric

from service.kafka.partitioning import partition_of
from service.settings import Settings

if TYPE_CHECKING:
    from service.counting import Engine
    from service.counting.rows import Row
    from service.runtime.shard import Shard

STAYS_S: Final = 300.0
"""Seconds for which an account keeps its series after it left the first 2 K places."""
_REFRESH_S: Final = 5.0
HOUR: Final = "1h"
TOTAL: Final = "total"


class Account(NamedTuple):
    """One account's row (None without events) and the watermark of its partition."""

    account_id: str
    row: Row | None
    watermark_ms: int


class AccountSeries:
    """Chooses the accounts that have series, and gives their values at a scrape."""

    def __init__(
        self,
        settings: Settings,
        partitions: int,
        shards: Iterable[Shard[Engine]],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`partitions`: of the input. `now`: seconds, monotonic."""
        keys = [name.encode() for name in settings.watched]
        self._watched = {key: partition_of(key, partitions) for key in keys}
        """The partition of each watched account, in the order of the list."""
        self._top = settings.top_accounts
        self.limit: int = settings.account_series_limit
        self._grains = tuple((grain.name, grain.size_ms) for grain in settings.rules.grains)
        self._shards = shards
        self._now = now
        self._last_among: dict[bytes, float] = {}
        self._refreshed_s = float("-inf")

    def collect(self) -> Iterator[Metric]:
        """Yield the families, then the number of series."""
        kinds = ("gained", "lost", "net")
        families = {
            kind: GaugeMetricFamily(f"netfollowers_account_{kind}", help_text, labels=_LABELS)
            for kind, help_text in zip(kinds, _HELP, strict=True)
        }
        followers = GaugeMetricFamily(
            "netfollowers_account_followers", _HELP_FOLLOWERS, labels=("account",)
        )
        series = 0
        for account in self._chosen():
            values = list(self._values(account))
            known = None if account.row is None else _followers(account.row)
            count = len(kinds) * len(values) + (known is not None)
            if series + count > self.limit:
                break
            series += count
            for grain, gained, lost in values:
                labels = (account.account_id, grain)
                for kind, value in zip(kinds, (gained, lost, gained - lost), strict=True):
                    families[kind].add_metric(labels, value)
            if known is not None:
                followers.add_metric((account.account_id,), known)
        yield from families.values()
        yield followers
        exported = GaugeMetricFamily("netfollowers_account_series", _HELP_SERIES)
        exported.add_metric((), series)
        yield exported
        limit = GaugeMetricFamily("netfollowers_account_series_limit", _HELP_LIMIT)
        limit.add_metric((), self.limit)
        yield limit

    def _chosen(self) -> Iterator[Account]:
        """Yield the accounts with their rows: watched accounts first, then leaders.

        A watched account without a row has series too, from the worker that runs its partition.
        """
        shards = [shard for shard in self._shards if shard.is_running]
        running = {shard.partition for shard in shards}
        self._refresh(shards)
        for key in dict.fromkeys((*self._watched, *sorted(self._last_among))):
            for shard in shards:
                row = shard.engine.row(key)
                if row is not None:
                    yield Account(key.decode(), row, shard.engine.watermark_ms)
                    break
            else:
                if self._watched.get(key) in running:
                    yield Account(key.decode(), None, 0)

    def _refresh(self, shards: Iterable[Shard[Engine]]) -> None:
        """Add the first K of every partition. Drop accounts that have long been behind 2 K."""
        now = self._now()
        if now - self._refreshed_s < _REFRESH_S or not self._top:
            return
        self._refreshed_s = now
        for shard in shards:
            for leaders in shard.engine.leaders:
                if leaders.is_kept and self._is_hour(leaders.index):
                    for by in ("gainers", "losers"):
                        ranked = leaders.current.ranking(by).first(2 * self._top)
                        self._note(key for key, _ in ranked)
        for key in [key for key, at in self._last_among.items() if now - at > STAYS_S]:
            del self._last_among[key]

    def _note(self, ranked: Iterable[bytes]) -> None:
        for place, key in enumerate(ranked):
            if place < self._top or key in self._last_among:
                self._last_among[key] = self._refreshed_s

    def _is_hour(self, index: int) -> bool:
        names = [name for name, _ in self._grains]
        return names[index] == (HOUR if HOUR in names else names[-1])

    def _values(self, account: Account) -> Iterator[tuple[str, int, int]]:
        """Yield (grain, gained, lost) of each current window, then of all time."""
        row = account.row
        if row is None:
            yield from ((name, 0, 0) for name in (*(name for name, _ in self._grains), TOTAL))
            return
        for (name, size_ms), windows in zip(self._grains, row.windows, strict=True):
            start = account.watermark_ms - account.watermark_ms % size_ms
            gained = lost = 0
            if windows and windows[-1][0] == start:
                gained, lost = windows[-1][1], windows[-1][2]
            yield name, gained, lost
        yield TOTAL, row.gained, row.lost


def _followers(row: Row) -> int | None:
    """Followers now: baseline + net since then; None without a baseline."""
    if row.baseline is None:
        return None
    return row.baseline + row.gained - row.lost - (row.net_at_baseline or 0)


_LABELS: Final = ("account", "grain")
_WHERE: Final = "in the current window of the grain. Grain `total` means since counting began."
_HELP: Final = (
    f"Followers gained, {_WHERE}",
    f"Followers lost, {_WHERE}",
    f"Followers gained minus followers lost, {_WHERE}",
)
_HELP_FOLLOWERS: Final = (
    "Followers now: the baseline plus all changes since. Only for accounts with a baseline."
)
_HELP_SERIES: Final = "Number of per-account series that this worker exports now."
_HELP_LIMIT: Final = (
    "Largest number of per-account series of this worker. Watched accounts come first."
)
