"""Makes text of unknown origin safe for a terminal: no control characters, no line breaks."""

from __future__ import annotations

import json


def plain(text: str) -> str:
    """Replace every character that is not printable by U+FFFD."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def plain_json(text: str) -> str:
    """Escape unprintable characters in a JSON text of one line. It stays the same JSON.

    Such characters are only in strings: the text has no spaces between its parts.
    """
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
