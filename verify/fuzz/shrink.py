"""The smallest input that still fails: what is left when nothing more can be left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from service.contract.input_record import LogRecord

MOST_TRIES: Final = 2_000
T = TypeVar("T", list[Any], bytes)


def shortest(whole: T, fails: Callable[[T], bool]) -> T:
    """Leave out ever smaller spans of a sequence that fails, as long as the rest fails."""
    span, tries = len(whole), 0
    while span and tries < MOST_TRIES:
        at = 0
        while at < len(whole):
            fewer, tries = whole[:at] + whole[at + span :], tries + 1
            if fails(fewer):
                whole = fewer
            else:
                at += span
        span //= 2
    return whole


def failure(do: Callable[[], object]) -> str:
    """Return the text of the error that it raises; "" without an error."""
    try:
        do()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is found
        return f"{type(error).__name__}: {error}"
    return ""


def plainest(record: LogRecord, fails: Callable[[LogRecord], bool]) -> LogRecord:
    """Leave out headers, and bytes of the key and of the value."""

    def with_(**fields: Any) -> LogRecord:
        return msgspec.structs.replace(record, **fields)

    headers = shortest(list(record.headers), lambda some: fails(with_(headers=some)))
    record = with_(headers=headers)
    if record.value:
        record = with_(value=shortest(record.value, lambda some: fails(with_(value=some))))
    if record.key:
        record = with_(key=shortest(record.key, lambda some: fails(with_(key=some))))
    return record
