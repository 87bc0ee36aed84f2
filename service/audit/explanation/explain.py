"""Explains a number: the input offsets that made it, and those that were refused.

What the service published is only compared with the sum at the end.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from aiokafka.partitioner import murmur2

from service.audit.explanation.account_lines import Explanation, Line, Span
from service.audit.horizon import Horizon
from service.audit.model.counting import Rules
from service.audit.partition import read_results, read_unforeseen
from service.audit.published import json_object
from service.audit.result_names import named_result, windows_of
from service.audit.run import Begin, rules_at, unwatched
from service.audit.sources.source import AuditSourceError, Snapshot, Source, input_of

_POSITIVE: Final = 0x7FFFFFFF

Sum = dict[str, object]


class Question(NamedTuple):
    """Which number. `window`: (grain, start_ms), None for totals. `partition` None: by murmur2."""

    account_id: str
    window: tuple[str, int] | None = None
    partition: int | None = None


class Explained(NamedTuple):
    """The sum of the lines, and what was published, by field. `where`: the place it was found.

    `published` is None if there is nothing. `gap` says why the two cannot be compared.
    """

    partition: int
    position: int
    records: int
    refused: int
    summed: Sum
    published: Sum | None
    where: str
    gap: str = ""

    @property
    def agrees(self) -> bool:
        """True if what was published equals the sum. Without records, nothing must be published."""
        if self.published is None:
            return not any(self.summed.values())
        return self.summed == self.published


def partition_of(account_id: str, partitions: int) -> int:
    """Return the partition of an account's events, as Kafka's own clients choose it (murmur2)."""
    return int(murmur2(account_id.encode()) & _POSITIVE) % partitions


def span_of(rules: Rules, grain: str, start_ms: int) -> Span:
    """Return the window. AuditSourceError if there is no such grain, or no window starts there."""
    sizes_ms = {one.name: one.size_ms for one in rules.grains}
    if grain not in sizes_ms:
        message = f"--grain {grain}: should be one of {', '.join(sizes_ms)}"
        raise AuditSourceError(message)
    aligned_ms = start_ms // sizes_ms[grain] * sizes_ms[grain]
    if aligned_ms != start_ms:
        message = f"--window {start_ms}: the {grain} window that contains it starts at {aligned_ms}"
        raise AuditSourceError(message)
    return Span(grain, start_ms, start_ms + sizes_ms[grain])


async def explain(
    source: Source, question: Question, show: Callable[[Line], None], *, begin: Begin = unwatched
) -> Explained:
    """Show every line of an account up to the commit, and compare the sum."""
    account_id, window, partition = question
    if partition is None:
        partition = partition_of(account_id, await source.partitions())
    snapshot = await source.snapshot(partition)
    rules, extent = rules_at(snapshot), snapshot.counted
    span = span_of(rules, *window) if window else None
    horizon = Horizon(rules, extent.start, is_stamped=snapshot.is_stamped)
    explanation = Explanation(rules, account_id, span, horizon)
    explanation.model.unforeseen = await read_unforeseen(source, snapshot)
    watch, records = begin(f"partition {partition}", extent.stop - extent.start), 0
    async for batch in input_of(source, partition, extent, rules.skipped):
        for record in batch:
            line = explanation.feed(record)
            if line is not None:
                records += 1
                show(line)
        watch(len(batch))
    summed = _summed(explanation, account_id, span)
    published, where = await _published(source, snapshot, account_id, span)
    account = explanation.model.accounts.get(account_id)
    is_ended = account is not None and explanation.model.may_have_no_row(account)
    if span is None and published is None and is_ended:
        summed = {"gained": 0, "lost": 0, "followers": None}
        where = "nothing: the account was forgotten or has expired, and its row has ended"
    gap = ""
    if not (horizon.is_whole or (span is not None and horizon.judges(span.start_ms))):
        gap = f"the log begins at offset {extent.start}, so the sum lacks earlier records"
    return Explained(
        partition, extent.stop, records, explanation.refused, summed, published, where, gap
    )


def _summed(explanation: Explanation, account_id: str, span: Span | None) -> Sum:
    summed: Sum = {"gained": explanation.gained, "lost": explanation.lost}
    model = explanation.model
    if span is None:
        account = model.accounts.get(account_id)
        return {**summed, "followers": account.followers if account else None}
    key = (account_id, span.grain, span.start_ms)
    return {**summed, "revision": model.last_revision(*key) if key in model.windows else 0}


async def _published(
    source: Source, snapshot: Snapshot, account_id: str, span: Span | None
) -> tuple[Sum | None, str]:
    """Return the last row, or the newest result of a window.

    Before the first, use the row's window.
    """
    row = await _row(source, snapshot, account_id)
    topic = source.topics["updates"]
    if span is None:
        names = ("gained", "lost", "followers")
        return ({name: row.get(name) for name in names} if row else None), f"the row on {topic}"
    found = await _result(source, snapshot, account_id, span)
    if found is not None:
        return found, f"the final window on {source.topics['windows']}"
    for key, contents in windows_of(account_id, row):
        if key[1:] == (span.grain, span.start_ms):
            named = dict(zip(("gained", "lost", "revision"), contents, strict=False))
            return named, f"the window in the row on {topic}, which has no final result yet"
    return None, "nothing"


async def _row(source: Source, snapshot: Snapshot, account_id: str) -> Sum:
    value, key = b"", account_id.encode()
    async for batch in read_results(source, snapshot, "updates"):
        for row in batch:
            if row.key == key:
                value = row.value or b""
    return json_object(value)


async def _result(source: Source, snapshot: Snapshot, account_id: str, span: Span) -> Sum | None:
    newest, found = -1, None
    async for batch in read_results(source, snapshot, "windows"):
        for record in batch:
            key, revision, result = named_result(record)
            if key == (account_id, span.grain, span.start_ms) and revision >= newest:
                newest = revision
                found = {name: result.get(name) for name in ("gained", "lost", "revision")}
    return found
