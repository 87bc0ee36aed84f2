"""Demo, part 3: the counts sum up, and an independent recomputation gives the same numbers."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from service.commands.audit_report import audit_at_rest
from service.commands.progress_bar import Bar
from service.commands.replay_summary import counts_line
from service.counting import Counts
from service.demo.group_progress import Committed
from service.demo.pipeline import Pipeline
from service.local.worker_process import WorkerProcess
from service.synthetic.batch_sender import Outbox


async def judge(console: Console, pipeline: Pipeline) -> bool:
    """Check a worker that has counted all records sent to it. Return whether all is right."""
    found = await pipeline.counted()
    counts = await _counts_of(console, found, pipeline.worker)
    is_complete = _totals(console, counts, pipeline.outbox)
    is_agreed = await _recompute(console, pipeline)
    code = await pipeline.worker.stop()
    say(console, f"worker stopped by SIGTERM: exit code {code}", is_right=code == 0)
    return is_complete and is_agreed and code == 0


async def _counts_of(
    console: Console, found: Mapping[int, Committed], worker: WorkerProcess
) -> dict[int, Counts]:
    """Take the five counts from the commits, or from the worker if the broker keeps no metadata."""
    counts = {p: one.checkpoint.counts for p, one in found.items() if one.checkpoint is not None}
    if len(counts) == len(found):
        return counts
    console.print("counts from the worker's /metrics, because this broker keeps no commit metadata")
    gauges = await worker.gauges()
    return {} if gauges is None else {p: Counts(**by) for p, by in gauges.by_partition.items()}


def _totals(console: Console, counts: Mapping[int, Counts], outbox: Outbox) -> bool:
    """Print the five counts per partition.

    Return whether they sum to the number of records sent.
    """
    is_right = True
    for partition, five in sorted(counts.items()):
        records = outbox.ends.get(partition, 0)
        console.print(f"partition {partition}: {counts_line(five, records)}", soft_wrap=True)
        is_right &= five.total == records
    sent = sum(outbox.sent.values())
    counted = sum(five.total for five in counts.values())
    is_right &= sent == counted
    say(console, f"{sent:,} records produced, {counted:,} counted", is_right=is_right)
    return is_right


async def _recompute(console: Console, pipeline: Pipeline) -> bool:
    """Audit everything. Return whether the recomputation agrees. The worker must be at rest."""
    console.print("recomputing everything from the input, with independent code ...", style="dim")
    with Bar(console) as bar:
        report = await audit_at_rest(
            pipeline.settings, lambda what, total: bar.begin(f"recomputed, {what}", total)
        )
    console.print(str(report), markup=False, soft_wrap=True)
    verdict = "agrees with" if report.ok else "DISAGREES with"
    say(console, f"the independent recomputation {verdict} the table", is_right=report.ok)
    return report.ok


def say(console: Console, text: str, *, is_right: bool) -> None:
    """Print a verdict."""
    console.print(text, style="bold" if is_right else "bold red", soft_wrap=True)
