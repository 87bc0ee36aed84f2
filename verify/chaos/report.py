"""The story of a run, as JSON and as a page to read."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from verify.chaos.fault_record import Strike
from verify.chaos.run import Story
from verify.chaos.schedule import Kind


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that is not below `share` of all; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def of(story: Story, command: str, machine: dict[str, Any]) -> dict[str, Any]:
    """Return all numbers of a run. Times are in seconds since its begin."""
    strikes = [one for one in story.strikes if one.is_effective and one.is_healed]
    longest = max(story.pauses, key=lambda pause: pause.seconds, default=None)
    return {
        "command": command,
        "seed": story.plan.seed,
        "machine": machine,
        "chaos_s": round(story.chaos_s, 1),
        "skipped": story.skipped,
        "faults": {str(kind): _kind(story, kind) for kind in Kind},
        "faults_in_all": len(story.strikes),
        "effective": story.effective(),
        "recovery_s": _times([one.recovery_s for one in strikes]),
        "aftermath_s": _times([one.aftermath_s for one in strikes]),
        "longest_pause": longest and {**asdict(longest), "during": _during(story, longest.began_s)},
        "records_sent": dict(story.sent),
        "records_arrived_again": _arrived_again(story),
        "audits": [_audit(story, number) for number in range(len(story.verdicts))],
        "mismatches": sum(verdict.mismatch_count for verdict in story.verdicts),
        "restarts": story.restarts,
        "exits": dict(Counter(str(one.code) for one in story.exits)),
        "why_exited": dict(Counter(one.why for one in story.exits if one.code > 0)),
        "unexpected_exits": [asdict(one) for one in story.exits if not one.is_expected],
        "audit_said": story.audit_said,
        "wrong": story.wrong,
        "strikes": [_strike(story, one) for one in story.strikes],
    }


def text(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=1, ensure_ascii=False) + "\n"


def _times(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 2) if values else 0.0,
        "p99": round(percentile(values, 0.99), 2),
        "longest": round(max(values, default=0.0), 2),
    }


def _kind(story: Story, kind: Kind) -> dict[str, Any]:
    struck = [one for one in story.strikes if one.kind is kind]
    hit = [one for one in struck if one.is_effective and one.is_healed]
    return {
        "struck": len(struck),
        "effective": story.effective(kind),
        "recovery_s": _times([one.recovery_s for one in hit]),
        "aftermath_s": _times([one.aftermath_s for one in hit]),
    }


def _arrived_again(story: Story) -> int:
    """Count the records that the producer sent again although they had arrived; 0 if unknown."""
    if not story.verdicts:
        return 0
    compared = story.verdicts[-1].compared
    arrived = compared.get("input records", 0) - compared.get("heartbeat", 0)
    return max(0, arrived - story.sent.total())


def _during(story: Story, at_s: float) -> list[str]:
    under_way = (one for one in story.strikes if one.began_s - 1 <= at_s <= one.calmed_s)
    return [str(one.kind) for one in under_way]


def _audit(story: Story, number: int) -> dict[str, Any]:
    verdict = story.verdicts[number]
    return {
        "at_s": round(verdict.at_s - story.began_s, 1),
        "took_s": round(verdict.took_s, 1),
        "compared": verdict.compared,
        "mismatches": verdict.mismatch_count,
        "notes": verdict.notes,
    }


def _strike(story: Story, strike: Strike) -> dict[str, Any]:
    return {
        "kind": str(strike.kind),
        "began_s": round(strike.began_s - story.began_s, 2),
        "lasted_s": round(strike.ended_s - strike.began_s, 2),
        "recovery_s": round(strike.recovery_s, 2) if strike.is_healed else None,
        "aftermath_s": round(strike.aftermath_s, 2) if strike.is_healed else None,
        "effective": strike.is_effective,
        "note": strike.note,
    }
