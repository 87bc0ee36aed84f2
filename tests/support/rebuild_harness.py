"""Random lives in which commits are overwritten, rebuilt, and judged by the audit."""

from __future__ import annotations

from random import Random

from service.audit.checks.rejects import unforeseen_in
from service.audit.comparison import RESULT_KINDS, Comparison
from service.audit.findings import Findings
from service.audit.model import counting
from service.audit.published import Committed, Place
from service.commands.rebuild_count import Recount, checkpoint_of
from service.commands.rebuild_traces import Traces
from service.contract.rule_versions import CURRENT, Ranges
from service.counting import Checkpoint
from tests.support.crash_harness import SOURCE, World, judges_rules
from tests.support.random_log import random_log, small_rules

NEW: Ranges = ((0, CURRENT),)


def traces_of(world: World, *, is_compacted: bool = False) -> Traces:
    """Read what a world has published. `is_compacted`: only each row's last value, no tombstone."""
    traces = Traces(world.rules)
    rows = world.results["updates"]
    if is_compacted:
        last = {one.key: one for one in rows if one.value is not None}
        rows = [one for key, one in last.items() if key in world.rows]
    for one in rows:
        traces.see_row(one)
    traces.rows_are_read()
    for kind, see in (
        ("windows", traces.see_window),
        ("late", traces.see_late),
        ("rejected", traces.see_rejected),
    ):
        for one in world.results[kind]:
            see(one)
    return traces


def rebuilt(world: World, traces: Traces, versions: Ranges = NEW, *, start: int = 0) -> Checkpoint:
    """Rebuild the checkpoint of a world. `start`: retention has cut what lies before."""
    recount = Recount(world.rules, SOURCE, start, versions, traces)
    log = [one for one in world.log if one.offset >= start]
    for first in range(0, len(log), 7):
        if not recount.feed(log[first : first + 7]):
            break
    counted = recount.counted(world.log[-1].offset + 1)
    return checkpoint_of(counted, traces, world.engine.settings, versions, is_cut=False)


def judged(world: World, checkpoint: Checkpoint) -> Findings:
    """Let the audit judge a checkpoint, as `netfollowers audit` does while workers run."""
    findings = Findings()
    text = checkpoint.to_metadata()
    comparison = Comparison(judges_rules(world.rules, text), Place(*SOURCE), findings)
    comparison.model.unforeseen = unforeseen_in(world.results["rejected"])
    for one in world.log:
        if one.offset < checkpoint.position:
            record = (one.offset, one.timestamp, one.key, one.value, one.headers)
            comparison.feed(counting.LogRecord(*record))
    for kind in RESULT_KINDS:
        for result in world.results[kind]:
            comparison.check(kind).see(result)
    comparison.finish(swept_to_ms=checkpoint.sweep.closed_to_ms)
    comparison.commit(Committed(checkpoint.position, text))
    return findings


class Overwritten(World):
    """Each restart finds its commit overwritten, and rebuilds it."""

    is_compacted = False
    refused = 0

    def restart(self, back: int = 1) -> int:
        """Rebuild, compare with the commit that was lost, and continue from what was rebuilt."""
        before = Checkpoint.from_metadata(*self.commits[-1])
        found = rebuilt(self, traces_of(self, is_compacted=self.is_compacted))
        findings = judged(self, found)
        if self.is_compacted and not findings.ok:
            self.refused += 1
            return super().restart(back)
        assert findings.ok, str(findings)
        if not self.is_compacted:
            assert found.watermark_ms >= before.watermark_ms
        assert found.rows == before.rows
        self.commits[-1] = (found.position, found.to_metadata())
        return super().restart(back)


def overwritten_life(seed: int) -> Findings:
    """Live a random log; each restart rebuilds its commit. Returns what the audit finds."""
    random = Random(seed)
    rules = small_rules(random)
    world = Overwritten(rules, random_log(random, random.randrange(1, 200)))
    world.run(random, crashes=random.choice((0.05, 0.15, 0.5)))
    return world.findings()
