"""Which fault strikes when, from a seed. Pure: nothing is hurt here and no clock is read.

The kinds are dealt like cards: every deck holds each kind, so a run of one deck has met all.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The kinds of fault."""

    KILL = "kill -9 of a worker"
    FREEZE = "SIGSTOP past the session timeout, then SIGCONT"
    TERM = "SIGTERM of a worker"
    SCALE = "scale 3 -> 1 -> 4 -> 3"
    STORM = "rebalance storm"
    BROKER_KILL = "kill -9 of the broker, then restart"
    BROKER_PAUSE = "broker paused"
    RESET = "cut: connections reset"
    DOWN = "cut: proxy down"
    LATENCY = "cut: latency"
    TIMEOUT = "cut: black hole"


CUTS: Final = frozenset({Kind.RESET, Kind.DOWN, Kind.LATENCY, Kind.TIMEOUT})
"""Need the proxy."""
EXTRA: Final = (Kind.KILL,)
"""Once more in every deck: the plainest fault is the likeliest."""

LASTS_S: Final[dict[Kind, tuple[float, float]]] = {
    Kind.KILL: (0.0, 0.0),
    Kind.FREEZE: (1.5, 4.0),  # beyond the session timeout
    Kind.TERM: (0.0, 0.0),
    Kind.SCALE: (0.0, 0.0),  # each step as long as it takes
    Kind.STORM: (0.0, 0.0),
    Kind.BROKER_KILL: (0.0, 3.0),
    Kind.BROKER_PAUSE: (1.5, 8.0),  # now shorter, now longer than the session timeout
    Kind.RESET: (0.2, 1.0),
    Kind.DOWN: (1.0, 9.0),
    Kind.LATENCY: (2.0, 5.0),
    Kind.TIMEOUT: (1.0, 9.0),
}
"""Shortest and longest time (s) from cause to cure."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. What it hits is drawn. Which worker is there is known only when it strikes."""

    kind: Kind
    victim: int
    """Which of the workers that own a ready shard, modulo their number."""
    hits_all: bool
    """A cut: all workers and the producer, instead of one worker."""
    upstream: bool
    """A cut: requests are lost (else they arrive, and the answers are lost)."""
    lasts_s: float
    gap_s: float
    """Rest before the next one."""
    overlaps: bool
    """The next one does not wait until this one is healed."""


def schedule(
    seed: int, *, kinds: Sequence[Kind] = tuple(Kind), overlap: float = 0.25
) -> Iterator[Fault]:
    """Draw faults without end. `overlap`: share of faults that the next one does not wait for."""
    source = random.Random(seed)
    while True:
        deck = [*kinds, *(kind for kind in EXTRA if kind in kinds)]
        source.shuffle(deck)
        for kind in deck:
            yield Fault(
                kind,
                victim=source.randrange(1_000),
                hits_all=source.random() < 0.5,
                upstream=source.random() < 0.5,
                lasts_s=source.uniform(*LASTS_S[kind]),
                gap_s=source.uniform(0.1, 1.5),
                overlaps=source.random() < overlap,
            )
