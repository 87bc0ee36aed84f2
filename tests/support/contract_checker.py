"""Reads behind the workers: every record that they wrote obeys the contract.

What workers write in processes of their own is seen here, on the broker, as a consumer sees it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from aiokafka import TopicPartition

from service.contract.topics import RESULTS
from service.settings import Settings
from tests.support.contract.records import wrong_with
from tests.support.patience import Patience

RECORDS: Final = 20_000


class Witness:
    """Remembers how far it has looked, so that each record is judged once."""

    def __init__(self, settings: Settings) -> None:
        """`settings`: name the result topics."""
        self.judged = 0
        self.settings = settings
        self._seen: dict[TopicPartition, int] = {}

    async def look(self, reader: Any, ends: Mapping[TopicPartition, int]) -> list[str]:
        """Judge what has come since, up to the offsets `ends`, and return what is wrong.

        `reader` holds just these. (aiokafka's consumer never stops when it is stopped while it
        still takes in a new assignment: so there is one, and always a fetch behind it.)
        """
        by_name = {self.settings.topic(topic): topic for topic in RESULTS}
        wrong: list[str] = []
        for tp in ends:
            reader.seek(tp, self._seen.get(tp, 0))
        async for tp, records in _committed(reader, ends):
            for record in records:
                why = wrong_with(by_name[tp.topic], record.key, record.value, record.headers)
                if why is not None:
                    wrong.append(f"{tp.topic}/{tp.partition}@{record.offset}: {why}")
            self.judged += len(records)
            self._seen[tp] = await reader.position(tp)
        return wrong


async def _committed(
    reader: Any, ends: Mapping[TopicPartition, int]
) -> AsyncIterator[tuple[TopicPartition, list[Any]]]:
    """Yield what can be read. A worker that was killed may have left a transaction open."""
    patience, is_done = Patience("the rest of the result topics"), False
    while not is_done:
        found = await reader.getmany(timeout_ms=100, max_records=RECORDS)
        for tp, records in found.items():
            yield tp, records
        behind = {
            tp: f"{position} of {end}"
            for tp, end in ends.items()
            if (position := await reader.position(tp)) < end
            and position < (reader.last_stable_offset(tp) or end)
        }
        is_done = not behind and not found
        patience.look(behind)
