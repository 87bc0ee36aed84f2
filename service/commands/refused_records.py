"""Reads rejected and late records, selects among them, and prints them.

The name of a record is its place in the input: PARTITION:OFFSET.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from service.charts.printable import plain
from service.commands.result_reader import read_all
from service.contract.input_record import REASON_TEXT, Headers, RawRecord, Reason, epoch_ms
from service.contract.results import ORIGINAL
from service.errors import UsageError
from service.exit_codes import ExitCode
from service.settings import Settings

OURS: Final = "netfollowers-"
REPLAYED: Final = "netfollowers-replayed"
_TOP: Final = 10
_SHOWN: Final = 100


class Refused(NamedTuple):
    """One record of the rejected or late topic. `headers`: those of the input record."""

    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    labels: dict[str, str]

    @classmethod
    def of(cls, record: RawRecord) -> Refused:
        """Separate the original headers from those that the service has added."""
        labels = {
            name: (text or b"").decode(errors="replace")
            for name, text in record.headers
            if name.startswith(OURS)
        }
        return cls(
            int(labels[f"{OURS}source-partition"]),
            int(labels[f"{OURS}source-offset"]),
            record.timestamp,
            record.key,
            record.value,
            [
                (name.removeprefix(ORIGINAL), text)
                for name, text in record.headers
                if name.startswith(ORIGINAL)
            ],
            labels,
        )

    @property
    def place(self) -> str:
        """PARTITION:OFFSET of the input."""
        return f"{self.partition}:{self.offset}"

    @property
    def account(self) -> str:
        """The account from the key, or from the value if it can be read."""
        if self.key:
            return self.key.decode(errors="replace")
        try:
            found = json.loads(self.value or b"")["account_id"]
        except (ValueError, KeyError, TypeError):
            return ""
        return found if isinstance(found, str) else ""

    @property
    def why(self) -> str:
        """The reason of a rejection, or the missed grains."""
        return self.labels.get(f"{OURS}reason") or self.labels[f"{OURS}grains-missed"]


def chosen_by(options: argparse.Namespace) -> Callable[[Refused], bool]:
    """Make the filter of --reason, --account, --since, --until. UsageError: not a time."""
    since, until = (_time(text) for text in (options.since, options.until))

    def is_chosen(one: Refused) -> bool:
        return (
            (options.reason is None or options.reason in one.why.split(","))
            and (options.account is None or options.account == one.account)
            and (since is None or one.time_ms >= since)
            and (until is None or one.time_ms < until)
        )

    return is_chosen


def _time(text: str | None) -> int | None:
    if text is None:
        return None
    ms = int(text) if text.isdecimal() else epoch_ms(text)
    if ms is None:
        message = f"{text!r} is neither RFC 3339 (2026-01-31T12:00:00Z) nor epoch ms"
        raise UsageError(message)
    return ms


async def read(settings: Settings, topic: str) -> AsyncIterator[Refused]:
    """Yield all records that are now on the topic."""
    async for records in read_all(settings, topic):
        for record in records:
            yield Refused.of(record)


def print_records(settings: Settings, options: argparse.Namespace, topic: str) -> ExitCode:
    """Print what `list`, `show` or `stats` asks for. WRONG: there is no such record."""
    act = {"list": _list, "show": _show, "stats": _stats}[options.action]
    return asyncio.run(act(settings, options, topic))


async def _list(settings: Settings, options: argparse.Namespace, topic: str) -> ExitCode:
    is_chosen, listed, more = chosen_by(options), 0, 0
    async for one in read(settings, topic):
        if not is_chosen(one):
            continue
        if listed == options.limit:
            more += 1
            continue
        listed += 1
        detail = one.labels.get(f"{OURS}detail", "")
        line = f"{one.place}  {_when(one.time_ms)}  {one.why}  {one.account}  {detail[:_SHOWN]}"
        print(plain(line))
    print(f"{listed:,} records" + (f", and {more:,} more: --limit" if more else ""))
    return ExitCode.OK


async def _show(settings: Settings, options: argparse.Namespace, topic: str) -> ExitCode:
    found = False
    async for one in read(settings, topic):
        if one.place == options.place:
            found = True
            print("\n".join(map(plain, _in_words(one))))
    if not found:
        print(f"no record of {options.place} is on {topic}")
    return ExitCode.OK if found else ExitCode.WRONG


async def _stats(settings: Settings, options: argparse.Namespace, topic: str) -> ExitCode:
    is_chosen = chosen_by(options)
    why: Counter[str] = Counter()
    accounts: Counter[str] = Counter()
    hours: Counter[str] = Counter()
    async for one in read(settings, topic):
        if is_chosen(one):
            why[one.why] += 1
            accounts[one.account or "(no account)"] += 1
            hours[_when(one.time_ms)[:13] + "h"] += 1
    for title, counter in (("by reason or grains missed", why), ("by account", accounts)):
        print(f"{title}:")
        for name, number in counter.most_common(_TOP):
            print(f"{number:>12,}  {plain(name)}")
    print("by hour (UTC), newest last:")
    for name, number in sorted(hours.items())[-24:]:
        print(f"{number:>12,}  {name}")
    print(f"{sum(why.values()):>12,}  in all")
    return ExitCode.OK


def _when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _in_words(one: Refused) -> list[str]:
    reason = one.labels.get(f"{OURS}reason")
    if reason is not None:
        words = (
            REASON_TEXT[Reason(reason)] if reason in list(Reason) else "a reason of a newer version"
        )
        why = f"{reason}: {words}; {one.labels[f'{OURS}detail']}"
    else:
        event_ms = int(one.labels[f"{OURS}event-time-ms"])
        watermark_ms = int(one.labels[f"{OURS}watermark-ms"])
        behind_s = (watermark_ms - event_ms) / 1_000
        why = (
            f"it happened at {_when(event_ms)}, {behind_s:,.1f} s before the watermark; it is in "
            f"the totals, and missed its windows of {one.why}"
        )
    topic = one.labels[f"{OURS}source-topic"]
    lines = [
        f"input       {topic} partition {one.partition} offset {one.offset}",
        f"refused at  {_when(one.time_ms)}",
        f"why         {why}",
        f"key         {one.key!r}",
        f"value       {one.value!r}",
    ]
    if one.labels.get(f"{OURS}truncated") == "true":
        length = one.labels[f"{OURS}original-length"]
        lines.append(
            f"            cut: it had {length} bytes, SHA-256 {one.labels[f'{OURS}sha256']}"
        )
    lines += [f"header      {name}: {text!r}" for name, text in one.headers]
    return lines
