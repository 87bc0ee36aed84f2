"""Certificates: the hash of `canonical.py`, from the published results or from the input alone.

At the committed offset both must be equal. The input can also be hashed up to any other offset.
"""

from service.audit.certificate.canonical import Certificate, Entries
from service.audit.certificate.hash_input import InputEntries
from service.audit.certificate.hash_results import ResultEntries
from service.audit.model.counting import Rules
from service.audit.partition import read_results
from service.audit.run import Begin, rules_at, unwatched
from service.audit.sources.source import INPUT, AuditSourceError, Extent, Source, input_of


async def certify(source: Source, partition: int, *, begin: Begin = unwatched) -> Certificate:
    """Hash the results of a partition at the committed offset."""
    snapshot = await source.snapshot(partition)
    if snapshot.committed is None:
        return Certificate(partition, 0, Entries().digest(Rules(), 0, None, {}))
    entries = ResultEntries(
        rules_at(snapshot), snapshot.committed, at_least_once=source.at_least_once
    )
    results = {kind: extent for kind, extent in snapshot.extents.items() if kind != INPUT}
    watch = begin(f"partition {partition}", sum(stop - start for start, stop in results.values()))
    async for batch in read_results(source, snapshot, "windows"):
        entries.windows(batch)
        watch(len(batch))
    async for batch in read_results(source, snapshot, "updates"):
        entries.rows(batch)
        watch(len(batch))
    for kind in ("late", "rejected"):
        async for batch in read_results(source, snapshot, kind):
            entries.refused(kind, batch)
            watch(len(batch))
    gaps = [
        f"{source.topics[kind]} begins at offset {extent.start}"
        for kind, extent in results.items()
        if extent.start > 0 and kind != "updates"
    ]
    if entries.unforeseen:
        gaps.append(f"{entries.unforeseen} records were rejected as unforeseen")
    return Certificate(partition, snapshot.committed.position, entries.digest(), tuple(gaps))


async def recompute(
    source: Source, partition: int, *, offset: int | None = None, begin: Begin = unwatched
) -> Certificate:
    """Hash the results that the input leads to, up to `offset` (None: the committed offset)."""
    snapshot = await source.snapshot(partition)
    start, stop = snapshot.extents[INPUT]
    if offset is None:
        offset = snapshot.committed.position if snapshot.committed else 0
    elif offset > stop:
        message = f"--offset {offset}: the log of partition {partition} ends at {stop}"
        raise AuditSourceError(message)
    rules = rules_at(snapshot)
    entries = InputEntries(rules)
    watch = begin(f"partition {partition}", offset - start)
    extent = Extent(start, min(offset, stop))
    async for batch in input_of(source, partition, extent, rules.skipped):
        for record in batch:
            entries.feed(record)
        entries.fold()
        watch(len(batch))
    gaps = (f"{source.topics[INPUT]} begins at offset {start}",) if start > 0 else ()
    return Certificate(partition, offset, entries.digest(offset), gaps)
