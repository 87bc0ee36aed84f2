"""The settings that change results. Frozen, validated once. Defaults exist nowhere else.

A window of a grain is [start, end), aligned to UTC. With W the watermark it is *open*, then *final*
once W >= end + grace, and *kept* for corrections until W >= end + keep.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_GRAIN: Final = re.compile(r"(\d+[smhd]):(\d+[smhd]):(\d+[smhd])")
_MAX_KEPT_WINDOWS: Final = 64
_MAX_GRAINS: Final = 8


def duration_ms(text: str) -> int:
    """Parse '90s' as 90000 (ms). Units: s, m, h, d. ValueError if it is not a duration."""
    if not re.fullmatch(r"\d+[smhd]", text, re.ASCII):
        message = f"{text!r} is not a duration such as 30s, 15m, 3h, 2d"
        raise ValueError(message)
    return int(text[:-1]) * _UNITS[text[-1]]


@dataclass(frozen=True, slots=True)
class Grain:
    """A length of tumbling windows (ms), with its grace and keep (ms after the window's end)."""

    name: str
    size_ms: int
    grace_ms: int
    keep_ms: int

    def __post_init__(self) -> None:
        """Refuse a grain that would be final before its end, or make rows unbounded."""
        if self.size_ms <= 0:
            message = f"grain {self.name}: the window must be longer than nothing"
            raise ValueError(message)
        if self.keep_ms < self.grace_ms:
            message = f"grain {self.name}: keep must not be shorter than grace"
            raise ValueError(message)
        if self.keep_ms > _MAX_KEPT_WINDOWS * self.size_ms:
            message = f"grain {self.name}: keep / grain must be at most {_MAX_KEPT_WINDOWS}"
            raise ValueError(message)

    @classmethod
    def parse(cls, text: str) -> Grain:
        """Parse '1m:30s:15m' as the grain 1m with grace 30 s and keep 15 min."""
        match = _GRAIN.fullmatch(text)
        if match is None:
            message = f"{text!r} is not size:grace:keep such as 1m:30s:15m"
            raise ValueError(message)
        size, grace, keep = match.groups()
        return cls(size, duration_ms(size), duration_ms(grace), duration_ms(keep))

    def __str__(self) -> str:
        """'1m:30000:900000': name, grace and keep in ms."""
        return f"{self.name}:{self.grace_ms}:{self.keep_ms}"


DEFAULT_GRAINS: Final = ("1m:30s:15m", "1h:1m:3h", "1d:5m:2d")


@dataclass(frozen=True, slots=True)
class Rules:
    """All settings of the engine that change results. They are part of every checkpoint.

    `max_ahead_ms`: an event stamped later than its log timestamp by more than this counts at the
    log timestamp. `dedup_generation`: offsets per generation of event ids; one to two generations
    are remembered. `sweep_buckets`: number of parts into which a sweep divides the accounts.
    `expire_after_ms`: an account without events for this time is forgotten; 0: never.
    """

    grains: tuple[Grain, ...] = tuple(Grain.parse(text) for text in DEFAULT_GRAINS)
    max_ahead_ms: int = 10_000
    dedup_generation: int = 131_072
    sweep_buckets: int = 1_024
    expire_after_ms: int = 0

    def __post_init__(self) -> None:
        """Refuse rules that contradict each other."""
        names = [grain.name for grain in self.grains]
        sizes = [grain.size_ms for grain in self.grains]
        if not 1 <= len(names) <= _MAX_GRAINS or len(set(sizes)) != len(sizes):
            message = f"grains must be 1 to {_MAX_GRAINS} different lengths, not {names}"
            raise ValueError(message)
        if not 0 <= self.max_ahead_ms <= min(grain.grace_ms for grain in self.grains):
            message = "max_ahead must not be above the smallest grace"
            raise ValueError(message)
        if self.dedup_generation < 1 or self.sweep_buckets < 1:
            message = "dedup_generation and sweep_buckets must be at least 1"
            raise ValueError(message)

        longest = max(grain.size_ms + grain.keep_ms for grain in self.grains)
        if self.expire_after_ms and self.expire_after_ms < longest:
            message = f"expire_after must be 0, or at least {longest} ms: the longest size + keep"
            raise ValueError(message)

    def fingerprint(self) -> dict[str, str | int]:
        """Return every setting by name. Each checkpoint contains it, and opening compares it."""
        return {
            "grains": ",".join(str(grain) for grain in self.grains),
            "max_ahead_ms": self.max_ahead_ms,
            "dedup_generation": self.dedup_generation,
            "sweep_buckets": self.sweep_buckets,
            **({"expire_after_ms": self.expire_after_ms} if self.expire_after_ms else {}),
        }


def differences(
    found: Mapping[str, str | int],
    own: Mapping[str, str | int],
    defaults: Mapping[str, str | int],
) -> list[tuple[str, str | int | None, str | int | None]]:
    """Compare the fingerprint of a checkpoint with our own.

    Return (name, its value, own value), by name. A name that one of the two lacks is at its
    default.
    """
    theirs, ours = {**defaults, **found}, {**defaults, **own}
    return [
        (name, theirs.get(name), ours.get(name))
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    ]
