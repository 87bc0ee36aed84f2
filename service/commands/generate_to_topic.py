"""Sends synthetic events to the input topic, at a rate."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from service.exit_codes import ExitCode
from service.settings import Settings
from service.synthetic.batch_sender import outbox_to
from service.synthetic.events import Shape, Synthetic
from service.synthetic.paced_source import CHUNK, Stream


def send(settings: Settings, shape: Shape, options: argparse.Namespace) -> ExitCode:
    """Send the events that the options ask for. UsageError: there is no such topic."""
    if options.topic:
        settings = replace(settings, input_topic=options.topic)
    asyncio.run(_send(settings, shape, options))
    return ExitCode.OK


async def _send(settings: Settings, shape: Shape, options: argparse.Namespace) -> None:
    began = time.monotonic()
    async with outbox_to(settings) as outbox:
        source = Synthetic(shape)
        if options.baselines:
            now_ms = int(time.time() * 1_000) if options.start_ms is None else options.start_ms
            outbox.put_all(source.baselines(now_ms))
            await outbox.send()
        stream = Stream(
            source,
            outbox,
            rate=options.rate,
            start_ms=options.start_ms,
            with_heartbeats=options.heartbeats,
        )
        try:
            await stream.run(_until(stream, options))
        finally:
            await outbox.settle()
            seconds = time.monotonic() - began
            total = sum(outbox.sent.values())
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in outbox.sent.most_common())
            print(
                f"sent {total:,} records to {settings.input_topic} in {seconds:.1f} s "
                f"({total / seconds:,.0f}/s): {kinds}",
                file=sys.stderr,
            )


def _until(stream: Stream, options: argparse.Namespace) -> Callable[[], int]:
    """Return the number of events that may be made now; 0 ends the stream."""
    if options.events:
        return lambda: options.events - stream.made
    if options.seconds is None:
        return lambda: CHUNK
    ends = time.monotonic() + options.seconds
    return lambda: CHUNK if time.monotonic() < ends else 0
