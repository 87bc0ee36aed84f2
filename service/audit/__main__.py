"""python -m service.audit: recompute everything from the input topic and compare. Exit 0 or 1."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from service.audit.check import check

EXAMPLE = "example: python -m service.audit --brokers localhost:9092 --app-id net-followers"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; the topics default to the service's own names."""
    parser = argparse.ArgumentParser("service.audit", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--brokers", required=True, help="host:port[,host:port...]")
    parser.add_argument("--app-id", required=True, help="the worker's consumer group")
    parser.add_argument("--input-topic", default="follow-events")
    parser.add_argument("--updates-topic", default="net-follower-updates")
    parser.add_argument("--windows-topic", default="net-follower-windows")
    parser.add_argument("--late-topic", default="follow-events-late")
    parser.add_argument("--rejected-topic", default="follow-events-rejected")
    parser.add_argument("--at-least-once", action="store_true", help="results may repeat")
    parser.add_argument("--unswept", action="store_true", help="a sweep may be unfinished")
    parser.add_argument("--tansu", action="store_true", help="the broker is Tansu")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Audit, print the report, and say by the exit code whether all agrees."""
    asked = parse(arguments)
    report = asyncio.run(
        check(
            asked.brokers,
            input_topic=asked.input_topic,
            updates_topic=asked.updates_topic,
            windows_topic=asked.windows_topic,
            late_topic=asked.late_topic,
            rejected_topic=asked.rejected_topic,
            app_id=asked.app_id,
            at_least_once=asked.at_least_once,
            expect_swept=not asked.unswept,
            tansu=asked.tansu,
        )
    )
    print(report)  # noqa: T201 - the report is the output
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
