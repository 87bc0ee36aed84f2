"""What an option's text may be; argparse prints the functions' names when it is not."""

from __future__ import annotations

import argparse
import re


def share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        message = f"{text} is not a share from 0 to 1"
        raise argparse.ArgumentTypeError(message)
    return share


def number(text: str) -> float:
    found = float(text)
    if not 0 <= found < float("inf"):
        message = f"{text} is not a number from 0 on"
        raise argparse.ArgumentTypeError(message)
    return found


def whole(text: str) -> int:
    number = int(text)
    if number < 0:
        message = f"{text} is negative"
        raise argparse.ArgumentTypeError(message)
    return number


def count(text: str) -> int:
    number = int(text)
    if number < 1:
        message = f"{text} is not at least 1"
        raise argparse.ArgumentTypeError(message)
    return number


def baseline(text: str) -> tuple[str, int, int | None]:
    """'ACCOUNT=N[@MS]' -> account, followers, epoch ms or None."""
    match = re.fullmatch(r"(.+)=(\d+)(?:@(\d+))?", text)
    if match is None:
        message = f"{text!r} is not ACCOUNT=N or ACCOUNT=N@MS"
        raise argparse.ArgumentTypeError(message)
    account, followers, at_ms = match.groups()
    return account, int(followers), int(at_ms) if at_ms else None
