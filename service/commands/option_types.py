"""Parses the texts of options. argparse prints the name of the function if a text is not valid."""

from __future__ import annotations

import argparse
import re
from datetime import datetime

from service.contract.rule_versions import CURRENT, MOST


def share(text: str) -> float:
    """Read a share, 0 to 1."""
    found = float(text)
    if not 0 <= found <= 1:
        message = f"{text} is not a number from 0 to 1"
        raise argparse.ArgumentTypeError(message)
    return found


def number(text: str) -> float:
    """Read a finite number from 0 on."""
    found = float(text)
    if not 0 <= found < float("inf"):
        message = f"{text} is not a number of at least 0"
        raise argparse.ArgumentTypeError(message)
    return found


def whole(text: str) -> int:
    """Read a whole number from 0 on."""
    found = int(text)
    if found < 0:
        message = f"{text} is negative"
        raise argparse.ArgumentTypeError(message)
    return found


def count(text: str) -> int:
    """Read a whole number from 1 on."""
    found = int(text)
    if found < 1:
        message = f"{text} must be at least 1"
        raise argparse.ArgumentTypeError(message)
    return found


def moment(text: str) -> int:
    """Parse epoch milliseconds, or RFC 3339. Return epoch ms."""
    if text.isdecimal():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        message = f"{text!r} is no time: write epoch milliseconds, or 2024-05-01T10:00:00Z"
        raise argparse.ArgumentTypeError(message)
    return round(found.timestamp() * 1_000)


def baseline(text: str) -> tuple[str, int, int | None]:
    """Parse 'ACCOUNT=N[@MS]'. Return (account, followers, epoch ms or None)."""
    match = re.fullmatch(r"(.+)=(\d+)(?:@(\d+))?", text)
    if match is None:
        message = f"{text!r} is not ACCOUNT=N or ACCOUNT=N@MS"
        raise argparse.ArgumentTypeError(message)
    account, followers, at_ms = match.groups()
    return account, int(followers), int(at_ms) if at_ms else None


def ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Parse '0:1,81234:2'. Return ((first offset, version of the rules), ...), in order."""
    if not re.fullmatch(r"\d+:\d+(,\d+:\d+)*", text, re.ASCII):
        message = f"{text!r} is not OFFSET:VERSION,... such as 0:1,81234:2"
        raise argparse.ArgumentTypeError(message)
    pairs = [one.split(":") for one in text.split(",")]
    found = tuple((int(start), int(version)) for start, version in pairs)
    starts, versions = zip(*found, strict=True)
    is_rising = list(starts) == sorted(set(starts)) and list(versions) == sorted(set(versions))
    if not is_rising or not 1 <= versions[0] <= versions[-1] <= CURRENT or len(found) > MOST:
        message = f"{text!r}: offsets and versions must rise; versions are 1 to {CURRENT}"
        raise argparse.ArgumentTypeError(message)
    return found
