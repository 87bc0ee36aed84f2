"""How a setting is declared: its default, what is allowed, and what it means, in one place.

flush_interval_s: float = setting(0.25, between(0.01, 10), "seconds between two checkpoints")
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import Field, dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")
_DECLARED: Final = "declared"


@dataclass(frozen=True, slots=True)
class Limit:
    """The allowed values: `right` is for people, behind "should be"; `is_right` decides."""

    right: str
    is_right: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Declaration:
    """One setting, beside its default. `identity`: see `setting`."""

    limit: Limit
    meaning: str
    identity: str = ""


def setting(default: T, limit: Limit, meaning: str, *, identity: str = "") -> T:
    """Declare a setting as a field of a dataclass.

    `identity`: the setting changes results. It has this name in the fingerprint that each
    checkpoint carries, and a worker with another value refuses to continue. A setting that is new
    adds nothing to the fingerprint while it is at its default.
    """
    declared = Declaration(limit, meaning, identity)
    return field(default=default, repr=limit is not PASSWORD, metadata={_DECLARED: declared})


def declaration_of(one: Field[Any]) -> Declaration | None:
    """What was declared with `setting`; None for any other field."""
    declared: Declaration | None = one.metadata.get(_DECLARED)
    return declared


def between(low: float, high: float) -> Limit:
    """Limit a number; both ends are allowed."""
    return Limit(f"from {low} to {high}", lambda number: low <= number <= high)


def at_least(low: float) -> Limit:
    """Limit a number from below. It must be finite."""
    return Limit(f"a finite number, at least {low}", lambda number: low <= number < math.inf)


def one_of(*allowed: str) -> Limit:
    """Limit a text to a few values."""
    return Limit(f"one of {', '.join(allowed)}", lambda text: text in allowed)


def _is_empty_or_readable(path: str) -> bool:
    return not path or (Path(path).is_file() and os.access(path, os.R_OK))


ANYTHING: Final = Limit("anything", lambda _: True)
"""Whatever the type allows; what else must hold is checked with other settings."""
NAME: Final = Limit("a name", bool)
PASSWORD: Final = Limit("a password", lambda _: True)
"""A secret in the variable itself: it is in no representation of the settings."""
FILE: Final = Limit("a file that exists and can be read", _is_empty_or_readable)
SECRET_FILE: Final = Limit(FILE.right, FILE.is_right)
"""A file whose content is a secret: `Settings.secret` reads it."""
