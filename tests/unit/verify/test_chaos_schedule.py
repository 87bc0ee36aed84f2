"""The schedule of a seed."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from verify.chaos.schedule import CUTS, EXTRA, LASTS_S, Kind, schedule

DECK = len(Kind) + len(EXTRA)


def test_the_same_seed_is_the_same_schedule() -> None:
    assert list(islice(schedule(7), 200)) == list(islice(schedule(7), 200))
    assert list(islice(schedule(7), 200)) != list(islice(schedule(8), 200))


def test_every_deck_holds_every_kind() -> None:
    for seed in range(50):
        faults = list(islice(schedule(seed), 3 * DECK))
        for first in range(0, len(faults), DECK):
            dealt = Counter(fault.kind for fault in faults[first : first + DECK])
            assert dealt == Counter([*Kind, *EXTRA])


def test_without_a_proxy_there_are_no_cuts_and_all_the_others() -> None:
    kinds = [kind for kind in Kind if kind not in CUTS]
    assert {fault.kind for fault in islice(schedule(1, kinds=kinds), 50)} == set(kinds)


def test_a_fault_lasts_as_long_as_its_kind_may() -> None:
    for fault in islice(schedule(3), 500):
        shortest, longest = LASTS_S[fault.kind]
        assert shortest <= fault.lasts_s <= longest


def test_as_many_overlap_as_asked() -> None:
    assert not any(fault.overlaps for fault in islice(schedule(1, overlap=0.0), 200))
    assert all(fault.overlaps for fault in islice(schedule(1, overlap=1.0), 200))
    some = sum(fault.overlaps for fault in islice(schedule(1, overlap=0.25), 1_000))
    assert 200 < some < 300
