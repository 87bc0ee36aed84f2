"""What JSON must be before it is decoded: UTF-8 throughout, and nested no deeper than a bound.

Under the engine's import ban. msgspec looks at neither in what it skips, and how deep it can go
depends on the stack it is called from (docs/decisions/0007).
"""

from __future__ import annotations

import re
from typing import Final

MAX_DEPTH: Final = 128

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def check_text(value: bytes) -> None:
    """UnicodeDecodeError: not UTF-8. RecursionError: nested deeper than MAX_DEPTH."""
    value.decode()
    if value.count(b"[") + value.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        message = f"nested deeper than {MAX_DEPTH}"
        raise RecursionError(message)


def _depth(value: bytes) -> int:
    deepest = depth = 0
    for byte in _STRINGS.sub(b"", value):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest
