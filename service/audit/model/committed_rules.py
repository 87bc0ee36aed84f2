"""Reads the rules that a worker wrote into its commit, so that an audit needs no own settings."""

import re
from typing import Final

from service.audit.model.counting import Grain, Rules
from service.audit.published import json_object

_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_GRAIN = re.compile(r"([0-9]+)([smhd]):([0-9]+):([0-9]+)")


def rules_of(metadata: str) -> Rules | None:
    """Read {"settings": {"grains": "1m:30000:900000,...", ...}}; None if they are missing."""
    settings = json_object(metadata).get("settings")
    if not isinstance(settings, dict):
        return None
    grains = [_GRAIN.fullmatch(text) for text in str(settings.get("grains")).split(",")]
    return Rules(
        grains=tuple(_grain(found) for found in grains if found is not None),
        max_ahead_ms=int(settings["max_ahead_ms"]),
        dedup_generation=int(settings["dedup_generation"]),
        expire_after_ms=int(settings.get("expire_after_ms", 0)),
        versions=_versions(json_object(metadata).get("rules", [[0, 1]])),
        skipped=_skipped(json_object(metadata).get("skipped")),
    )


def _versions(told: object) -> tuple[tuple[int, int], ...]:
    """Read "rules": [[0, 1], [81234, 2]]. A commit without it was made by version 1."""
    pairs = told if isinstance(told, list) else []
    return tuple(sorted((int(start), int(version)) for start, version in pairs)) or ((0, 1),)


def _skipped(told: object) -> tuple[tuple[int, int], ...]:
    """Read "skipped": [[17, 19, "why"]]; absent: no range was stepped over."""
    ranges = told if isinstance(told, list) else []
    return tuple(sorted((int(first), int(stop)) for first, stop, _ in ranges))


def _grain(found: re.Match[str]) -> Grain:
    number, unit, grace_ms, keep_ms = found.groups()
    return Grain(number + unit, int(number) * _UNIT_MS[unit], int(grace_ms), int(keep_ms))
