"""Checks bytes before they are decoded as JSON: all UTF-8, and not nested too deeply.

Under the engine's import ban. msgspec checks neither in fields that it skips, and its depth limit
depends on the stack from which it is called (docs/design/decisions/0007).
"""

from __future__ import annotations

import re
from typing import Final

MAX_DEPTH: Final = 128

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A string, or one that never ends. It never backtracks, so the work is linear in the bytes."""
_OTHERS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def check_text(value: bytes) -> None:
    """Check the bytes. UnicodeDecodeError: not UTF-8. RecursionError: deeper than MAX_DEPTH."""
    value.decode()
    if value.count(b"[") + value.count(b"{") > MAX_DEPTH and _is_too_deep(value):
        message = f"nested deeper than {MAX_DEPTH}"
        raise RecursionError(message)


def _is_too_deep(value: bytes) -> bool:
    depth = 0
    for byte in _STRINGS.sub(b"", value).translate(None, _OTHERS):
        depth += 1 if byte in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False
