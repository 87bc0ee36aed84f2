"""A stranger's text on a terminal: no control characters, no line of its own."""

from __future__ import annotations

import json


def plain(text: str) -> str:
    """Put U+FFFD in the place of every character that is not printable."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def plain_json(text: str) -> str:
    """Escape what is not printable in a JSON text of one line: it stays the same JSON.

    Such characters stand in strings only: without any space between its parts, nothing else can.
    """
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
