"""The audit: recomputes every partition from its input and compares it with the results.

The worker may be running. Each partition is judged at one of its commits.
"""

from collections.abc import Callable

from service.audit.comparison import Comparison
from service.audit.findings import Findings
from service.audit.horizon import Horizon
from service.audit.model.committed_rules import rules_of
from service.audit.model.counting import Rules
from service.audit.partition import Watch, audit_partition
from service.audit.published import Place
from service.audit.sources.source import INPUT, KINDS, Snapshot, Source

Report = Findings
Begin = Callable[[str, int], Watch]
"""Called with a title and a number of records. Returns a function that counts records read."""


def unwatched(_: str, __: int) -> Watch:
    """Show no progress."""
    return lambda _: None


async def audit(
    source: Source,
    *,
    only: int | None = None,
    rules: Rules | None = None,
    expect_swept: bool | None = None,
    begin: Begin = unwatched,
) -> Report:
    """Audit all partitions, or one (`only`). `rules`: None means the rules in the commits.

    `expect_swept`: True if every final window must be published; None: as far as the commit says.
    """
    findings = Findings()
    count = await source.partitions()
    for partition in range(count) if only is None else [only]:
        snapshot = await source.snapshot(partition)
        comparison = _comparison(source, snapshot, findings, rules)
        counted = snapshot.counted
        watch = begin(f"partition {partition}", counted.stop - counted.start)
        await audit_partition(source, snapshot, comparison, expect_swept=expect_swept, watch=watch)
        _note(source, snapshot, findings)
        findings.compared["partitions"] += 1
    return findings


def rules_at(snapshot: Snapshot) -> Rules:
    """Return the rules that the commit names; the default rules before the first commit."""
    committed = snapshot.committed
    return (rules_of(committed.metadata) if committed else None) or Rules()


def _comparison(
    source: Source, snapshot: Snapshot, findings: Findings, rules: Rules | None
) -> Comparison:
    rules = rules or rules_at(snapshot)
    place = Place(source.topics[INPUT], snapshot.partition, source.at_least_once)
    start = snapshot.counted.start
    return Comparison(rules, place, findings, Horizon(rules, start, is_stamped=snapshot.is_stamped))


def _note(source: Source, snapshot: Snapshot, findings: Findings) -> None:
    """Note what was not read, and what retention has removed from the results."""
    partition, unread = snapshot.partition, snapshot.extents[INPUT].stop - snapshot.counted.stop
    if unread:
        topic = source.topics[INPUT]
        findings.notes.append(
            f"{topic}/{partition}: {unread} offsets after the commit were not read"
        )
    for kind in KINDS:
        start = snapshot.extents[kind].start
        if kind == "windows" and start > 0:
            findings.leave(
                f"{source.topics[kind]}/{partition}: the topic begins at offset {start}, so "
                "earlier window results are missing in it"
            )
        elif kind == "updates" and start > 0:
            findings.notes.append(f"{source.topics[kind]}/{partition}: begins at offset {start}")
