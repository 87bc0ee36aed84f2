"""Reads and checks files that contain one secret each, for every setting that names one.

A configured secret that cannot be used must never count as "no secret". No message may contain a
part of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from service.errors import NetFollowersError

MOST_BYTES: Final = 65_536
_RIGHT: Final = "a file that holds one secret in one line of UTF-8"


class UnusableSecretError(NetFollowersError):
    """Says what the file should be, and what is wrong with it."""

    def __init__(self, what: str) -> None:
        """`what`: the fault of the file."""
        super().__init__(f"{_RIGHT}; it {what}")


def read_secret(path: str) -> str:
    """Return the secret without surrounding blanks and line ends. UnusableSecretError."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise UnusableSecretError(what) from error
    if why := _why_unusable(raw):
        raise UnusableSecretError(why)
    return raw.decode("utf-8-sig").strip()


def _why_unusable(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return "is not UTF-8"
    if len(raw) > MOST_BYTES:
        return f"has more than {MOST_BYTES} bytes"
    if not text:
        return "is empty"
    if any(c < " " or c == "\x7f" for c in text):
        return "has more than one line, or control characters"
    return ""
