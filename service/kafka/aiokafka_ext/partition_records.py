"""The records of one fetch. A failure names its position, and a consumer may want records raw.

aiokafka builds a `ConsumerRecord` for each record, and has no option against it. A consumer that
has the marker `RAW` as its key deserializer gets the records of the C decoder: aiokafka passes the
marker down to the place where records are built. Other consumers in the process get what aiokafka
builds.
"""

from __future__ import annotations

from typing import Any, Final

from aiokafka.consumer import fetcher

from service.kafka.aiokafka_ext.batches import UnpackError


def RAW(key: bytes) -> bytes:  # noqa: N802 - a marker, never called
    """Marks a consumer whose records stay raw."""
    return key


_built: Final = fetcher.PartitionRecords._consumer_record  # noqa: SLF001 - cheaper than super()


class Records(fetcher.PartitionRecords):
    """The records of one fetch of one partition. Each failure names its position."""

    _records_iterator: Any

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - aiokafka's own
        """Take what aiokafka's class takes."""
        super().__init__(*arguments, **named)
        self._first = self.next_fetch_offset

    def __next__(self) -> Any:  # noqa: ANN401 - aiokafka is untyped
        """Return the next record. UnpackError if it cannot be unpacked."""
        try:
            return next(self._records_iterator)
        except StopIteration:
            self._records_iterator = None
            raise
        except Exception as error:
            self._records_iterator = None
            if (
                self.next_fetch_offset > self._first
            ):  # yield the records before it; the next fetch raises
                raise StopIteration from None
            message = (
                f"cannot unpack what {self._tp.topic} holds: partition={self._tp.partition} "
                f"offset={self.next_fetch_offset} "
                f"next={max(self._records.end, self.next_fetch_offset + 1)} "
                f"{type(error).__name__}: {error}; "
                "see `A batch that cannot be unpacked` in docs/operate/runbook.md"
            )
            raise UnpackError(message, self.next_fetch_offset) from error

    def _consumer_record(self, tp: Any, record: Any) -> Any:  # noqa: ANN401 - called per record
        return record if self._key_deserializer is RAW else _built(self, tp, record)
