"""The truth of every query of every panel, and of every alert's expression, by name."""

from __future__ import annotations

from typing import Final

from deploy.stack.configuration import WORKERS
from verify.panels.expected_accounts import ACCOUNTS, ONE_ACCOUNT
from verify.panels.expected_service import SERVICE
from verify.panels.tolerance import Truth, Value, Within, World, one

TRUTHS: Final[dict[str, Truth]] = {
    **{f"Accounts / {name}": truth for name, truth in ACCOUNTS.items()},
    **{f"One account / {name}": truth for name, truth in ONE_ACCOUNT.items()},
    **{f"Service / {name}": truth for name, truth in SERVICE.items()},
}

_SILENT: Final = Truth(lambda _: {})


def _as_of(name: str, legend: str) -> Truth:
    shown = TRUTHS[name]
    return Truth(lambda world: {"": shown.of(world)[legend]}, shown.error)


def _waiting(world: World) -> dict[str, Value]:
    return {
        f"partition {number}": sum(e.partition == number for e in world.known.sent)
        for number in range(world.partitions)
    }


def _ages(world: World) -> dict[str, float]:
    first = {e.partition: e.at_s for e in reversed(world.known.sent)}
    return {f"partition {number}": world.known.at_s - at_s for number, at_s in first.items()}


_LATE: Final = Within(0, 2, "a rule is up to a scrape old")
WHILE_HELD: Final[dict[str, Truth]] = {
    "Service / Records that wait / A": one("records", lambda w: len(w.known.sent)),
    "Service / Lag by partition / A": Truth(_waiting),
    "Service / Oldest that waits / A": one("age", lambda w: max(_ages(w).values()), _LATE),
    "Service / Age of the oldest that waits / A": Truth(_ages, _LATE),
}


def _shared_ids(world: World) -> int:
    return sum(one.is_shared_id for one in world.known.sent)


def _reused_ids(world: World) -> int:
    return sum(one.is_other_action for one in world.known.sent)


def _counted(world: World) -> tuple[float, float]:
    return 0, world.partitions - 1


# An alert has a value where its expression is true, `for` aside: here a share of 2 % of rejected
# records, ids that two accounts share or that come with two actions, and keys that lie where
# murmur2 does not put them.
ALERTS: Final[dict[str, Truth]] = {
    "NetFollowersPartitionNotCounted": _SILENT,
    "NetFollowersFallingBehind": _SILENT,
    "NetFollowersHidden": _SILENT,
    "NetFollowersCheckpointsStalled": _SILENT,
    "NetFollowersWorkerRestarting": _SILENT,
    "NetFollowersWorkerDown": _SILENT,
    "NetFollowersRejecting": _as_of("Service / Rejected / A", "rejected"),
    "NetFollowersUnforeseen": _SILENT,
    "NetFollowersLate": _SILENT,
    "NetFollowersTimeStandsStill": _SILENT,
    "NetFollowersIdsUnderTwoAccounts": Truth(
        lambda world: {"": _shared_ids(world)}, Within(0.1, 1, "one scrape at each end")
    ),
    "NetFollowersIdsWithTwoActions": Truth(
        lambda world: {"": _reused_ids(world)}, Within(0.1, 1, "one scrape at each end")
    ),
    "NetFollowersBelowZero": _SILENT,
    "NetFollowersMixedPartitioners": _as_of("Service / Keys in a foreign partition / A", "foreign"),
}

AFTER_A_KILL: Final[dict[str, Truth]] = {
    "NetFollowersPartitionNotCounted": Truth(
        lambda world: {"": _counted(world)}, Within(why="bounds: those that the other worker has")
    ),
    "NetFollowersWorkerDown": Truth(lambda world: {world.processes[WORKERS[1]].instance: 0}),
}

AFTER_THE_TAKEOVER: Final[dict[str, Truth]] = {"NetFollowersPartitionNotCounted": _SILENT}
