"""The truth of every query of the dashboard Service."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from service.metrics.observed import REFUSALS
from verify.panels.scenario import GRAINS, Sent
from verify.panels.tolerance import RATE_S, Process, Truth, Value, Within, World, one

GRACE_S: Final = {"10s": 10, "1m": 30, "1h": 60, "1d": 300}
"""Grace of each grain that the measured workers have."""
SIZES_MS: Final = {"10s": 10_000, **GRAINS}
_EDGE: Final = "one scrape at each end"
_RATE: Final = Within(0.1, 0.5, _EDGE)
_FEW: Final = Within(0.1, 9, _EDGE + ", of few events")
_RATIO: Final = Within(0.1, 0, _EDGE)
_SCRAPES_S: Final = 3.0
"""How far the first and the last scrape may be from the ends of a rate, on a busy machine."""
_CLOCK: Final = Within(0, 2, "a rule is up to a scrape old")
_BOUNDS: Final = Within(why="bounds")


def _partitions(of: Callable[[World, int], Value], error: Within = Within()) -> Truth:  # noqa: B008
    def values(world: World) -> dict[str, Value]:
        return {f"partition {number}": of(world, number) for number in range(world.partitions)}

    return Truth(values, error)


def _workers(of: Callable[[Process], Value], error: Within = Within()) -> Truth:  # noqa: B008
    def values(world: World) -> dict[str, Value]:
        return {one.instance: of(one) for one in world.processes.values()}

    return Truth(values, error)


def _between(name: str, low: float, high: float) -> Truth:
    return one(name, lambda _: (low, high), _BOUNDS)


def _lag(world: World, partition: int) -> float:
    return world.known.at_s - world.known.watermark_ms(partition) / 1_000


def _worst_lag(world: World) -> float:
    return max(_lag(world, number) for number in range(world.partitions))


def _ratio(outcome: str) -> Callable[[World], float]:
    def of(world: World) -> float:
        counts = world.known.outcomes(300)
        return counts[outcome] / (counts.total() - counts["heartbeat"])

    return of


def _recent(world: World, is_meant: Callable[[Sent], bool]) -> int:
    return sum(map(is_meant, world.known.within(RATE_S)))


def _in_minute(is_meant: Callable[[Sent], bool]) -> Callable[[World], float]:
    return lambda world: _recent(world, is_meant) * 60 / RATE_S


def _outcomes(world: World) -> dict[str, Value]:
    counts = world.known.outcomes(RATE_S)
    names = ("applied", "late", "duplicate", "rejected", "heartbeat")
    return {name: counts[name] / RATE_S for name in names}


def _actions(world: World) -> dict[str, Value]:
    signs = {"follow": 1, "unfollow": -1}
    return {
        name: _recent(world, lambda e, sign=sign: e.change == sign) / RATE_S  # type: ignore[misc]
        for name, sign in signs.items()
    }


def _reasons(world: World) -> Mapping[str, Value]:
    reasons = ("not_json", "missing_field")
    return {name: _in_minute(lambda e, name=name: e.reason == name)(world) for name in reasons}  # type: ignore[misc]


def _missed(world: World) -> dict[str, Value]:
    """An event that is two hours old misses the small grains. Hours and days still keep it."""
    late = _in_minute(lambda e: e.outcome == "late")(world)
    return {"10s": late, "1m": late, "1h": 0, "1d": 0}


def _foreign(world: World) -> Value:
    events = [e for e in world.known.sent if e.change]
    share = sum(e.is_foreign for e in events) / len(events)
    return 0.3 * share, 10 * share


def _last_checkpoint(world: World, partition: int) -> float:
    return world.known.at_s - max(e.at_s for e in world.known.sent if e.partition == partition)


def _published(*, is_revision: bool) -> Callable[[World], tuple[float, float]]:
    """Windows of the last RATE_S. Only those of the latecomer are ever corrected.

    Its events are two hours old: always of an hour that is over, and after midnight of a day too.
    Windows are published in bursts. A burst near an end of the RATE_S may be counted or not: the
    scrapes that Prometheus has are up to _SCRAPES_S away from the ends. The rest is _FEW.
    """

    def of(world: World) -> tuple[float, float]:
        times = [w[0] for w in world.windows if (w[1] == "latecomer") == is_revision]
        last = world.known.at_s
        shifts = [step * _SCRAPES_S / 6 for step in range(-6, 7)]
        counts = [
            sum(last - RATE_S + first < time <= last + end for time in times)
            for first in shifts
            for end in shifts
        ]
        low, high = (count * 60 / RATE_S for count in (min(counts), max(counts)))
        return low * (1 - _FEW.share) - _FEW.plus, high * (1 + _FEW.share) + _FEW.plus

    return of


def _open_windows(world: World) -> int:
    """Count the windows whose end plus grace the watermark has not reached."""
    places = {e.account: e.partition for e in world.known.sent if e.account}
    return sum(
        (start + 1) * size + GRACE_S[grain] * 1_000 > world.known.watermark_ms(places[name])
        for grain, size in SIZES_MS.items()
        for name, start in {
            (e.account, e.event_ms // size) for e in world.known.sent if e.change and e.event_ms
        }
    )


def _remembered(world: World) -> int:
    """An id that came with two actions is one id."""
    counted = [e for e in world.known.sent if e.outcome in {"applied", "late"}]
    return sum(not e.is_other_action for e in counted)


def _size(world: World) -> float:
    return world.result_bytes / world.transactions


def _told_s(world: World) -> float:
    return world.known.sent[-1].at_s - world.known.sent[0].at_s


def _versions(world: World) -> dict[str, Value]:
    return {f"{process.instance} {world.version}": 1 for process in world.processes.values()}


def _settings(world: World) -> dict[str, Value]:
    said = world.settings
    words = (said["app_id"], said["grains"], said["guarantee"])
    return {" ".join([*words, process.instance]): 1 for process in world.processes.values()}


def _series(world: World) -> dict[str, Value]:
    return dict(world.account_series)


SERVICE: Final[dict[str, Truth]] = {
    "Alerts firing / A": one("alerts", lambda _: 2),  # the two about ids
    "Workers that do not answer / A": one("down", lambda _: 0),
    "Partitions not counted / A": one("partitions", lambda _: 0),
    "Records that wait / A": one("records", lambda _: 0),
    "Oldest that waits / A": one("age", lambda _: 0),
    "Event-time lag / A": one("lag", _worst_lag, _CLOCK),
    "Rejected / A": one("rejected", _ratio("rejected"), _RATIO),
    "Late / A": one("late", _ratio("late"), _RATIO),
    "Records by outcome / A": Truth(_outcomes, _RATE),
    "Events by action / A": Truth(_actions, _RATE),
    "Throughput by partition / A": _partitions(
        lambda w, p: _recent(w, lambda e: e.partition == p) / RATE_S, _RATE
    ),
    "Lag by partition / A": _partitions(lambda *_: 0),
    "Age of the oldest that waits / A": _partitions(lambda *_: 0),
    "Hidden by open transactions / A": _partitions(lambda *_: 0),
    "Hidden by open transactions / B": one("records", lambda _: 0),
    "Event-time lag by partition / A": _partitions(_lag, _CLOCK),
    "Rejected by reason / A": Truth(_reasons, _FEW),
    "Windows missed by late events / A": Truth(_missed, _FEW),
    "Duplicates, clamped, conflicts of ids / A": one(
        "duplicates", _in_minute(lambda e: e.outcome == "duplicate"), _FEW
    ),
    "Duplicates, clamped, conflicts of ids / B": one(
        "clamped", _in_minute(lambda e: e.is_clamped), _FEW
    ),
    "Duplicates, clamped, conflicts of ids / C": one(
        "ids under two accounts", _in_minute(lambda e: e.is_shared_id), _FEW
    ),
    "Duplicates, clamped, conflicts of ids / D": one(
        "ids with two actions", _in_minute(lambda e: e.is_other_action), _FEW
    ),
    "Baselines and expiry / A": one("below zero", lambda _: 0),
    "Baselines and expiry / B": one("ignored", lambda _: 0),
    "Baselines and expiry / C": one("uncertain", lambda _: 0),
    "Baselines and expiry / D": one("expired on arrival", lambda _: 0),
    "Keys in a foreign partition / A": one(
        "foreign", _foreign, Within(why="bounds: accounts are sampled")
    ),
    "Ids that could not be read again / A": _partitions(lambda *_: 0),
    "Checkpoint duration / A": _between("median", 1e-4, 5),
    "Checkpoint duration / B": _between("p99", 1e-4, 10),
    "Sealing / A": _between("mean", 1e-6, 1),
    "Sealing / B": _between("p99", 1e-6, 1),
    "Size of a checkpoint / A": one("mean", _size, Within(0.3, 0, "of the last seconds, not all")),
    "Checkpoints per second / A": one(
        "checkpoints", lambda w: w.transactions / _told_s(w), Within(0.3, 1, "of the last seconds")
    ),
    "Age of the last checkpoint / A": _partitions(_last_checkpoint, Within(0, 2, _CLOCK.why)),
    "Failed checkpoints / A": _workers(lambda _: 0),
    "Partitions by state / A": Truth(lambda w: {"running": w.partitions, "opening": 0, "held": 0}),
    "Restore progress / A": _partitions(lambda *_: 1),
    "Partitions opened, and how long it took / A": one(
        "opened", lambda w: (w.partitions, 3 * w.partitions), Within(why="bounds: two workers join")
    ),
    "Partitions opened, and how long it took / B": _between("mean seconds", 1e-3, 20),
    "Group generation and rebalances / A": _between("generation", 1, 10),
    "Group generation and rebalances / B": Truth(
        lambda w: {f"rebalances {p.instance}": (1.0, 10.0) for p in w.processes.values()}, _BOUNDS
    ),
    "Versions / A": Truth(_versions),
    "Versions / B": Truth(_settings),
    "Windows published / A": one("final", _published(is_revision=False), _FEW),
    "Windows published / B": one("revisions", _published(is_revision=True), _FEW),
    "Open windows / A": one(
        "open", _open_windows, Within(0, 2, "clamped events have the log's time")
    ),
    "Rows of the table / A": one("rows", lambda w: len(w.known.accounts())),
    "Rows of the table / B": one("remembered ids", _remembered),
    "Bytes of the table / A": _workers(lambda _: (100, 1e6), _BOUNDS),
    "CPU / A": _workers(lambda p: p.cpu_share, Within(0.25, 0.03, "the kernel counts in 10 ms")),
    "Memory / A": _workers(lambda p: p.resident_bytes, Within(0.1, 0, "read a second apart")),
    "Delay of the loop / A": _between("p99", 0, 0.5),
    "Open files / A": _workers(
        lambda p: p.open_files / p.most_files, Within(0, 5e-3, "sockets come and go")
    ),
    "Tasks / A": _workers(lambda _: (3, 300), _BOUNDS),
    "Garbage collections / A": Truth(lambda _: dict.fromkeys("012", (0.0, math.inf)), _BOUNDS),
    "Account series / A": Truth(_series),
    "Account series / B": _between("limit of each", 100, 1e5),
    "Turned away at the web port / A": Truth(lambda _: dict.fromkeys(REFUSALS, 0)),
    "Up since / A": _workers(lambda p: p.started_s, Within(0, 2, _CLOCK.why)),
}
