"""An engine's life in memory: batches, seals, crashes, restarts. Its results are judged.

The judge is `service.audit`, which shares no code with the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import orjson

from service.audit.checks.rejects import unforeseen_in
from service.audit.comparison import Comparison, compare
from service.audit.findings import Findings
from service.audit.model import counting
from service.audit.model.committed_rules import rules_of
from service.audit.published import Committed, Place, Published
from service.contract.input_record import LogRecord, Reason, Rejection
from service.contract.results import Source, rejected_record
from service.counting import Checkpoint, Engine, Rules, Sealed

SOURCE = Source("follow-events", 3)
MOST_SEALS = 2_000
MOST_RESTARTS = 20
"""Largest number of restarts. Each may lose more than was counted since the one before.

Without a limit the run might never end.
"""
NewEngine = Callable[..., Any]


def judges_rules(rules: Rules, metadata: str = "") -> counting.Rules:
    """Return the same rules in the judge's own words. Their versions are those of a commit."""
    grains = [counting.Grain(g.name, g.size_ms, g.grace_ms, g.keep_ms) for g in rules.grains]
    told = counting.Rules(
        tuple(grains), rules.max_ahead_ms, rules.dedup_generation, rules.expire_after_ms
    )
    read = rules_of(metadata) if metadata else None
    return replace(told, versions=read.versions, skipped=read.skipped) if read else told


def _check_row(value: bytes) -> None:
    """A row that counts something knows when its last event was."""
    row = orjson.loads(value)
    knows = row["last_event_ms"] > 0 or not (row["gained"] or row["lost"])
    assert knows, row


class World:
    """One partition: the log, what has been published and committed, the engine that runs."""

    def __init__(
        self, rules: Rules, log: Sequence[LogRecord], *, new_engine: NewEngine = Engine
    ) -> None:
        self.rules = rules
        self.log = list(log)
        self.results: dict[str, list[Published]] = {
            "updates": [], "windows": [], "late": [], "rejected": [],
        }  # fmt: skip
        self.rows: dict[bytes, bytes] = {}
        self.commits: list[tuple[int, str]] = []
        self.restarts = 0
        self.stepped_over = 0
        """Offsets in the ranges that were stepped over, less one for each: its entry in `log`."""
        self._begins_in_1970 = any(one.timestamp == 0 for one in log)
        """A producer's clock may say 0, and an event is clamped to it."""
        self.is_torn = False
        """A torn seal has left rows that are ahead of the commit: at least once."""
        self._new_engine = new_engine
        self.before_restart: Callable[[], object] = lambda: None
        self.engine = new_engine(rules, SOURCE)
        self.publish(self.engine.seal())  # the first commit precedes the first row

    def run(self, random: Random, *, crashes: float = 0.15, at_least_once: bool = False) -> None:
        """Count the rest of the log: random batches, seals, crashes. Then seal to the end."""
        position = sum(one.offset < self.engine.position for one in self.log)
        sizes = random.choice(((1,), (1, 1, 2, 5), (1, 2, 5, 17)))
        seals = random.choice((0.3, 0.6, 1.0))
        while position < len(self.log):
            batch = self.log[position : position + random.choice(sizes)]
            position += len(batch)
            after = self.log[position].offset if position < len(self.log) else batch[-1].offset + 1
            end = random.choice((after, batch[-1].offset + 1))
            self.engine.apply(batch, end)
            assert self.engine.position == end
            assert self.engine.counts.total == position + self.stepped_over
            if random.random() < seals:
                self.publish(self.engine.seal())
            if random.random() < crashes and self.restarts < MOST_RESTARTS:
                back = random.choice((1, 1, 2)) if at_least_once else 1
                if at_least_once and random.random() < 0.3:
                    self.tear(random, self.engine.seal())
                    back = 1  # a checkpoint begins only when the one before is durable
                position = self.restart(back)
        for _ in range(MOST_SEALS):
            if not self.engine.has_unsealed:
                return
            self.publish(self.engine.seal())
        message = "the sweep never ends"
        raise AssertionError(message)

    def extend(self, records: Sequence[LogRecord]) -> None:
        """The log has grown."""
        self.log += records
        self._begins_in_1970 |= any(one.timestamp == 0 for one in records)

    def step_over(self, stop: int) -> None:
        """Step over the records from the position to `stop`, which no client can unpack."""
        self.publish(self.engine.seal())
        before = Checkpoint.from_metadata(*self.commits[-1])
        start, width = before.position, stop - before.position
        after = msgspec.structs.replace(
            before,
            position=stop,
            counts=msgspec.structs.replace(before.counts, rejected=before.counts.rejected + width),
            skipped=(*before.skipped, (start, stop, "spoilt")),
        )
        self.commits.append((stop, after.to_metadata()))
        nothing = LogRecord(start, -1, None, None)
        rejected = rejected_record(nothing, SOURCE, Rejection(Reason.SKIPPED, "spoilt"))
        self.results["rejected"].append(Published(0, *rejected))
        self.log.append(nothing)
        self.stepped_over += width - 1
        self.restart()

    def use(self, new_engine: NewEngine) -> None:
        """Let the next restart make another engine: an upgrade."""
        self._new_engine = new_engine

    def publish(self, sealed: Sealed) -> None:
        """Make a sealed checkpoint durable."""
        for key, value in sealed.updates:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
                if not self._begins_in_1970:
                    _check_row(value)
        for kind, pairs in (("updates", sealed.updates), ("windows", sealed.windows)):
            self.results[kind] += [Published(0, key, value, []) for key, value in pairs]
        for kind, records in (("late", sealed.late), ("rejected", sealed.rejected)):
            self.results[kind] += [Published(0, *record) for record in records]
        self.commits.append((sealed.checkpoint.position, sealed.checkpoint.to_metadata()))
        if not self.is_torn:
            self._check_table(sealed)

    def _check_table(self, sealed: Sealed) -> None:
        """The rows that are there are those that the checkpoint and the sums speak of."""
        assert sealed.checkpoint.rows == len(self.rows)
        rows = [orjson.loads(value) for value in self.rows.values()]
        assert self.engine.table_gained == sum(row["gained"] for row in rows)
        assert self.engine.table_lost == sum(row["lost"] for row in rows)

    def tear(self, random: Random, sealed: Sealed) -> None:
        """Die in the middle of publishing (at least once): the results and some rows are there."""
        rows = [row for row in sealed.updates if random.random() < 0.5]
        commits, self.is_torn = list(self.commits), True
        self.publish(msgspec.structs.replace(sealed, updates=rows))
        self.commits = commits

    def restart(self, back: int = 1) -> int:
        """Lose the engine. Return the index in the log at which the new one continues.

        `back` is 2 if the last commit was lost although its results are there (at least once).
        """
        del self.commits[max(1, len(self.commits) - (back - 1)) :]
        self.restarts += 1
        self.before_restart()
        self.engine = self._new_engine(self.rules, SOURCE)
        checkpoint = Checkpoint.from_metadata(*self.commits[-1])
        self.engine.restore(checkpoint)
        self.engine.load(self.rows.items())
        first = self.engine.replay_from(checkpoint)
        before = [one for one in self.log if first <= one.offset < checkpoint.position]
        for cut in range(0, len(before), 7):
            self.engine.remember(before[cut : cut + 7])
        return sum(one.offset < checkpoint.position for one in self.log)

    def findings(self, *, at_least_once: bool = False) -> Findings:
        """Let the judge compare everything."""
        findings = Findings()
        place = Place(SOURCE.topic, SOURCE.partition, at_least_once)
        metadata = self.commits[-1][1] if self.commits else ""
        comparison = Comparison(judges_rules(self.rules, metadata), place, findings)
        comparison.model.unforeseen = unforeseen_in(self.results["rejected"])
        for one in self.log:
            comparison.feed(
                counting.LogRecord(one.offset, one.timestamp, one.key, one.value, one.headers)
            )
        committed = Committed(*self.commits[-1]) if self.commits else None
        compare(comparison, committed, dict(self.results), expect_swept=True)
        if not self.restarts:  # a tally begins with its engine
            tally, judge = self.engine.tally, comparison.model
            findings.expect(tally.clamped, judge.clamped, "clamped")
            others = judge.duplicate_other_account
            findings.expect(tally.ids_under_two_accounts, others, "ids under two accounts")
            conflicts = judge.id_with_other_action
            findings.expect(tally.ids_with_two_actions, conflicts, "ids with two actions")
            ignored = judge.baselines_ignored
            findings.expect(tally.baselines_ignored, ignored, "baselines ignored")
            uncertain = judge.baselines_uncertain
            findings.expect(tally.baselines_uncertain, uncertain, "baselines uncertain")
        return findings
