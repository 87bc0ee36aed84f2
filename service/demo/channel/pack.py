"""Packs the channel: python -m service.demo.channel.pack SOURCE.jsonl.gz DAILY.csv.

Writes events.xz and daily.csv beside this file. This is needed again only if the source changes.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from service.demo.channel import ACCOUNT_ID, DAILY_NAME, PACKED_NAME
from service.demo.channel.columns import ChannelEvent, pack


def source_events(source: Path) -> Iterator[ChannelEvent]:
    """Read the events of the source. AssertionError if the packed form cannot hold one."""
    with gzip.open(source, "rb") as lines:
        for line in lines:
            event = json.loads(line)
            occurred_s, rest_ms = divmod(event["occurred_at"], 1000)
            assert event["account_id"] == ACCOUNT_ID, "one account only"
            assert rest_ms == 0, "whole seconds only"
            yield ChannelEvent(event["follower_id"], event["action"] == "follow", occurred_s)


def main(arguments: list[str]) -> int:
    """Pack. Returns 0 when done, 2 if the arguments are wrong."""
    if len(arguments) != 2:  # noqa: PLR2004
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 2
    source, daily = map(Path, arguments)
    target = Path(__file__).parent
    packed = pack(source_events(source))
    target.joinpath(PACKED_NAME).write_bytes(packed)
    target.joinpath(DAILY_NAME).write_bytes(daily.read_bytes())
    print(f"{len(packed)} bytes of events, {daily.stat().st_size} bytes of days")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
