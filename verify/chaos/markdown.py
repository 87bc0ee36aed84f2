"""The report of a run as a page to read (docs/measured/chaos.md)."""

from __future__ import annotations

from typing import Any, Final

from bench.report.figures import measured_line

_HEAD: Final = """# Chaos on a real broker

{measured}

`{command}` on {machine}.
Written by the run itself; the same numbers, and every fault with its time: [{json}]({json}).
"""

_HOW: Final = """
**What runs.** A real Kafka (one node, transactions), three workers in one group (one of them with
static membership), eight partitions, and live input with duplicates, disorder, late and bad records
and heartbeats, {rate:.0f} records/s. A supervisor starts an ended worker again, as Docker would.
Each worker and the producer reach the broker through a proxy of their own (toxiproxy), so that one
can be cut off or all. Session timeout 6 s, transaction timeout 12 s, windows of 5 s, 1 min and 1 h.

**What counts.** The faults are dealt from a seed, each kind in every deck; one in four does not
wait for the one before. A fault is *effective* only if it hit a worker that owned a ready shard:
for SIGSTOP, if another worker had taken a shard over before the SIGCONT; for scaling, if each
number of workers was reached with every worker owning a shard.

**What is checked.** At each checkpoint the input rests until all is committed; then `service.audit`
recomputes rows, finals, revisions, late and rejected records and the five counts from the input,
and compares. A worker may end only with 0 (after SIGTERM), 70, 3, or by the signal that was sent,
and never by a failed assertion, a refusal or a stop that hangs. Updates must continue after every
fault, and no worker may end while nothing hurts it.

**How long it took.** *Recovery* is from a fault's begin until every partition had shown an update
by input sent after that (the fault's own length may be in it); *aftermath* is the same from the
moment when the cause was gone. A kill's cause is gone at once, so there the two agree. A pause is
the time between two committed updates of one partition, as a `read_committed` reader sees them.
"""


def page(report: dict[str, Any], *, json_name: str, png_name: str, rate: float) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in report["machine"].items())
    head = _HEAD.format(
        **{**report, "machine": machine, "measured": measured_line(report["machine"])},
        json=json_name,
    )
    skipped = [f"\n**{report['skipped']}**\n"] if report["skipped"] else []
    wrong = [f"- {line}" for line in report["wrong"]]
    return "\n".join(
        [
            head,
            "**Failed:**\n" if wrong else "**Passed.**",
            *wrong,
            *skipped,
            *_numbers(report),
            "",
            *_faults(report),
            "",
            *_audits(report),
            "",
            *_exits(report),
            "",
            f"![faults on a time axis, and updates per second]({png_name})",
            _HOW.format(rate=rate),
            "`netfollowers audit --at-rest` on the topics of the run, at its end:",
            "",
            "```",
            report["audit_said"].rstrip(),
            "```",
            "",
        ]
    )


def _numbers(report: dict[str, Any]) -> list[str]:
    recovery, aftermath = report["recovery_s"], report["aftermath_s"]
    pause = report["longest_pause"] or {"seconds": 0.0, "during": []}
    during = ", ".join(pause["during"]) or "no fault"
    sent = f"{sum(report['records_sent'].values()):,}; {report['records_arrived_again']:,}"
    checked = report["audits"][-1]["compared"].get("input records", 0) if report["audits"] else 0
    return [
        "",
        "| what | seen |",
        "|---|---|",
        f"| chaos (audits not counted) | {report['chaos_s']:.0f} s |",
        f"| faults, effective | {report['faults_in_all']}, **{report['effective']}** |",
        f"| longest pause in updates of a partition | {pause['seconds']:.1f} s ({during}) |",
        f"| recovery: median, p99, longest | {_line(recovery)} |",
        f"| aftermath: median, p99, longest | {_line(aftermath)} |",
        f"| records sent; arrived once more, as their producer was cut off | {sent} |",
        f"| input records checked at the end | {checked:,} |",
        f"| mismatches | **{report['mismatches']}** |",
        f"| workers started again | {report['restarts']} |",
    ]


def _faults(report: dict[str, Any]) -> list[str]:
    lines = [
        "| fault | struck | effective | recovery: median, p99, longest | aftermath: the same |",
        "|---|---|---|---|---|",
    ]
    for kind, seen in report["faults"].items():
        recovery, aftermath = _line(seen["recovery_s"]), _line(seen["aftermath_s"])
        row = [kind, str(seen["struck"]), str(seen["effective"]), recovery, aftermath]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def _audits(report: dict[str, Any]) -> list[str]:
    """One line per checkpoint, one column per thing compared."""
    names = list(dict.fromkeys(name for audit in report["audits"] for name in audit["compared"]))
    lines = [f"| audit at | {' | '.join(names)} | mismatches |", "|---" * (len(names) + 2) + "|"]
    for audit in report["audits"]:
        counts = [f"{audit['compared'].get(name, 0):,}" for name in names]
        lines.append(f"| {audit['at_s']:.0f} s | {' | '.join(counts)} | {audit['mismatches']} |")
    return lines


def _exits(report: dict[str, Any]) -> list[str]:
    exits = ", ".join(f"{code}: {count}" for code, count in sorted(report["exits"].items()))
    lines = [f"Ends of workers by exit code (negative: by signal): {exits}.", ""]
    if report["why_exited"]:
        lines += ["| what those said that ended by themselves | times |", "|---|---|"]
        for why, count in sorted(report["why_exited"].items(), key=lambda one: -one[1]):
            lines.append(f"| {why} | {count} |")
    return lines


def _line(times: dict[str, float]) -> str:
    return " / ".join(f"{times[name]:.1f}" for name in ("median", "p99", "longest")) + " s"
