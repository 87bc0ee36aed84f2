"""The table that every reader must arrive at, computed by the independent model from the input."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from service.audit.model.counting import LogRecord, Model

ROW = ("account_id", "gained", "lost", "net", "followers")
WINDOW = ("account_id", "grain", "start_ms", "gained", "lost", "net", "revision")


async def read(brokers: str, topic: str, isolation: str = "read_committed") -> list[ConsumerRecord]:
    """Every record of a topic, partition by partition, in the order of the log."""
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=brokers, isolation_level=isolation, auto_offset_reset="earliest"
    ) as reader:
        ends = await reader.end_offsets(reader.assignment())
        found = []
        while any([await reader.position(tp) < end for tp, end in ends.items()]):
            for records in (await reader.getmany(timeout_ms=200)).values():
                found += records
        return sorted(found, key=lambda one: (one.partition, one.offset))


def due(log: Iterable[ConsumerRecord]) -> tuple[bytes, Counter[str]]:
    """What the model makes of the input: the table as the examples print it, and the outcomes."""
    models: dict[int, Model] = {}
    for one in log:
        model = models.setdefault(one.partition, Model())
        headers = list(one.headers)
        model.feed(LogRecord(one.offset, one.timestamp, one.key, one.value, headers))
    rows, windows = [], []
    for model in models.values():
        for account_id, account in model.accounts.items():
            counts = (account.gained, account.lost, account.net, account.followers)
            rows.append(dict(zip(ROW, (account_id, *counts), strict=True)))
        for place, final in model.finals().items():
            counts = (final.gained, final.lost, final.gained - final.lost, final.revision)
            windows.append(dict(zip(WINDOW, (*place, *counts), strict=True)))
    outcomes = sum((Counter(model.counts) for model in models.values()), Counter())
    return lines(rows, windows), outcomes


def lines(rows: Iterable[dict[str, Any]], windows: Iterable[dict[str, Any]]) -> bytes:
    """Print a table in the order and the words of the examples."""
    # Python orders text by code point, which is the order of the bytes in UTF-8.
    table = sorted(rows, key=lambda one: str(one["account_id"]))
    table += sorted(windows, key=lambda one: tuple(one[name] for name in WINDOW[:3]))
    shown = (json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in table)
    return "".join(f"{line}\n" for line in shown).encode()
