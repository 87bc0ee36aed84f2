"""Writes values into the details of rejections, as they would stand in JSON, and explains times.

Under the engine's import ban. It is called only for records that are already rejected.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

_SHOWN: Final = 64
"""Largest number of characters of a value that a detail shows."""
_UNITS: Final = (
    ("seconds", 1_000, 1, "multiply it by 1,000"),
    ("microseconds", 1, 1_000, "divide it by 1,000"),
    ("nanoseconds", 1, 1_000_000, "divide it by 1,000,000"),
)
_DIGITS: Final = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_TEXTS: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d"), "it has no time of day"),
    (re.compile(r".*T\d\d:\d\d(:\d\d([.,]\d+)?)?"), "it has no offset: add Z, or +00:00"),
    (re.compile(r".*[+-]\d\d"), "its offset has no minutes: write +00:00"),
    (re.compile(r".*,\d+.*"), "it has a comma: write a full stop before the fraction"),
    (re.compile(r".*:60([.]\d+)?([Zz]|[+-].*)"), "it is a leap second: send the second before it"),
    (re.compile(r".*\d [+-].*"), "it has a blank before its offset"),
    (re.compile(r".*[.]\d{10,}.*"), "its fraction has more than 9 digits"),
)


def as_json(value: object) -> str:
    """Return a decoded JSON value as JSON, cut to 64 characters. A text has its quotes."""
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        text = str(value) if abs(value) < 10**_SHOWN else "a number with very many digits"
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        text = "a number beyond a double"
    else:
        text = msgspec.json.encode(value).decode(errors="replace")
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def why_no_time(at: int | str, valid_ms: range) -> str:
    """Return ": " and what seems to be wrong with a time that was refused; "" if that is unknown.

    `valid_ms`: the epoch ms that are accepted.
    Numbers of other units lie in ranges that do not overlap: 1,700,000,040 is in the year 2023 only
    as seconds.
    """
    if isinstance(at, int):
        return _why_no_number(at, valid_ms)
    if _DIGITS.fullmatch(at):
        return f": it is text; send the number without quotes{_why_no_number(int(at), valid_ms)}"
    if len(at) > _SHOWN:
        return ""
    text = at.upper().replace(" ", "T", 1)
    return next((f": {why}" for pattern, why in _TEXTS if pattern.fullmatch(text)), "")


def _why_no_number(at: int, valid_ms: range) -> str:
    for unit, times, parts, what in _UNITS:
        if at * times // parts in valid_ms:
            return f": it looks like {unit}; {what}"
    return ""
