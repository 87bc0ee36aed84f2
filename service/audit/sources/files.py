"""An audit without the broker: the same topics, in files.

    DIR/snapshot.json                 topics, guarantee, and per partition what was committed
    DIR/input-0.jsonl.gz              one line per record, one file per topic and partition
    DIR/updates-0.jsonl.gz ...        also windows, late, rejected

A line: {"offset": 7, "timestamp_ms": 1700000000000, "key": "a1", "value": "{...}", "headers": []}.
Key, value and header values are text or null. Bytes that are not UTF-8 become {"base64": "..."}.
"""

import base64
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Any, Final

from service.audit.model.committed_rules import rules_of
from service.audit.model.input_record import LogRecord
from service.audit.published import Committed
from service.audit.sources.source import (
    INPUT,
    KINDS,
    AuditSourceError,
    Extent,
    Snapshot,
    Source,
    Topics,
    parts_of,
)

BATCH_RECORDS: Final = 10_000
SNAPSHOT: Final = "snapshot.json"
QUICK: Final = 1  # level of gzip


class FilesSource:
    """Reads a directory that `dump` wrote."""

    def __init__(self, directory: Path) -> None:
        """Read the snapshot file. AuditSourceError if `directory` is not a dump."""
        self._directory = directory
        try:
            said = json.loads((directory / SNAPSHOT).read_text())
            self.topics: dict[str, str] = said["topics"]
            self.at_least_once: bool = said["at_least_once"]
            self._partitions: list[dict[str, Any]] = said["partitions"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"{directory / SNAPSHOT}: not a dump of `netfollowers audit --dump`: {error}"
            raise AuditSourceError(message) from None

    async def partitions(self) -> int:
        """Return the number of partitions in the dump."""
        return len(self._partitions)

    async def snapshot(self, partition: int) -> Snapshot:
        """Return the snapshot that was taken when the dump was made."""
        said = self._partitions[partition]
        committed = said["committed"]
        return Snapshot(
            partition,
            Committed(committed["position"], committed["metadata"]) if committed else None,
            {kind: Extent(*said["extents"][kind]) for kind in KINDS},
            is_stamped=said["is_stamped"],
        )

    async def records(
        self, kind: str, partition: int, extent: Extent
    ) -> AsyncIterator[list[LogRecord]]:
        """Yield the records of one file. AuditSourceError if a line is not a record."""
        path = self._directory / _name(kind, partition)
        batch: list[LogRecord] = []
        number = 0
        try:
            with gzip.open(path) as lines:
                for number, line in enumerate(lines, 1):  # noqa: B007 - named when it is wrong
                    record = _record(json.loads(line))
                    if extent.start <= record.offset < extent.stop:
                        batch.append(record)
                    if len(batch) == BATCH_RECORDS:
                        yield batch
                        batch = []
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
            message = f"{path}, after line {number}: {error}"
            raise AuditSourceError(message) from None
        if batch:
            yield batch

    async def end(self, kind: str, partition: int) -> int:
        """Return the end of the topic. It is that of the snapshot, because a dump does not grow."""
        return int(self._partitions[partition]["extents"][kind][1])


async def dump(
    source: Source, directory: Path, begin: Callable[[str, int], Callable[[int], None]]
) -> None:
    """Write all that an audit of `source` would read. `directory` must exist."""
    partitions = []
    for partition in range(await source.partitions()):
        snapshot = await source.snapshot(partition)
        rules = rules_of(snapshot.committed.metadata) if snapshot.committed else None
        skipped = rules.skipped if rules else ()
        extents = {**snapshot.extents, INPUT: snapshot.counted}
        total = sum(extent.stop - extent.start for extent in extents.values())
        watch = begin(f"dump of partition {partition}", total)
        for kind, extent in extents.items():
            with gzip.open(directory / _name(kind, partition), "wb", QUICK) as out:
                for part in parts_of(extent, skipped if kind == INPUT else ()):
                    await _write(source.records(kind, partition, part), out, watch)
        committed = snapshot.committed
        partitions.append(
            {
                "committed": committed._asdict() if committed else None,
                "extents": extents,
                "is_stamped": snapshot.is_stamped,
            }
        )
    write_snapshot(directory, source.topics, partitions, at_least_once=source.at_least_once)


def write_snapshot(
    directory: Path, topics: Topics, partitions: list[dict[str, Any]], *, at_least_once: bool
) -> None:
    """Write the snapshot file. It is written last: with it, the files are a dump."""
    said = {"topics": dict(topics), "at_least_once": at_least_once, "partitions": partitions}
    (directory / SNAPSHOT).write_text(json.dumps(said, indent=1) + "\n")


async def _write(
    batches: AsyncIterator[list[LogRecord]],
    out: gzip.GzipFile | IO[bytes],
    watch: Callable[[int], None],
) -> None:
    async for batch in batches:
        out.write(b"".join(map(line_of, batch)))
        watch(len(batch))


def line_of(one: LogRecord) -> bytes:
    """Return one record as a line."""
    fields = {
        "offset": one.offset,
        "timestamp_ms": one.timestamp_ms,
        "key": _text(one.key),
        "value": _text(one.value),
        "headers": [[name, _text(value)] for name, value in one.headers],
    }
    return json.dumps(fields).encode() + b"\n"


def _record(fields: dict[str, Any]) -> LogRecord:
    headers = [(name, _bytes(value)) for name, value in fields["headers"]]
    key, value = _bytes(fields["key"]), _bytes(fields["value"])
    return LogRecord(fields["offset"], fields["timestamp_ms"], key, value, headers)


def _text(content: bytes | None) -> object:
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content or b"").decode()}


def _bytes(text: Any) -> bytes | None:  # noqa: ANN401 - as JSON has it
    if isinstance(text, dict):
        return base64.b64decode(text["base64"])
    return None if text is None else str(text).encode()


def _name(kind: str, partition: int) -> str:
    return f"{kind}-{partition}.jsonl.gz"
