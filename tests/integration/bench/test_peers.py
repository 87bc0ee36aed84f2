"""The peers do the same job: totals and windows of a small input are what a dict says."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from bench.common.inputs import fill
from bench.common.progress import positions_of
from bench.common.settings import named
from bench.peers.process import (
    FLOOR,
    IDIOMATIC,
    PLAIN_FAUST,
    TUNED,
    Peer,
    create_topics,
    running,
)
from service.commands.result_reader import read_all
from service.kafka import topic_admin as topics
from service.local.broker import LocalBroker
from service.settings import Settings
from service.synthetic.events import Shape, Synthetic
from tests.support.patience import Patience

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

EVENTS: Final = 3_000
START_MS: Final = 1_767_225_590_000
"""Ten seconds before a day begins: every grain has two windows."""
GRAINS: Final = {"1m": 60_000, "1h": 3_600_000, "1d": 86_400_000}

Totals = dict[str, tuple[int, int]]
Windows = dict[tuple[str, str, int], tuple[int, int]]
Look = Callable[[Settings], Awaitable[object]]
Counted = Callable[..., Awaitable[None]]
MADE: Final = list(
    Synthetic(Shape(accounts=200, skew=0.6, disorder_s=0.2)).span(
        START_MS, rate=150.0, count=EVENTS
    )
)


def model() -> tuple[Totals, Windows]:
    """What there is to be counted."""
    totals: Counter[tuple[str, str]] = Counter()
    windows: Counter[tuple[str, str, int, str]] = Counter()
    for made in MADE:
        assert made.value is not None
        event = json.loads(made.value)
        account, action, at = event["account_id"], event["action"], event["occurred_at"]
        totals[account, action] += 1
        for grain, size in GRAINS.items():
            windows[account, grain, at - at % size, action] += 1
    return (
        {one: (totals[one, "follow"], totals[one, "unfollow"]) for one, _ in totals},
        {
            (one, grain, start): (
                windows[one, grain, start, "follow"],
                windows[one, grain, start, "unfollow"],
            )
            for one, grain, start, _ in windows
        },
    )


async def last_of(settings: Settings, topic: str) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Return the last committed value of each (account, grain, start).

    The grain is "" and the start is 0 on the updates topic.
    """
    found = {}
    async for records in read_all(settings, topic):
        for record in records:
            assert record.key is not None
            assert record.value is not None
            value = json.loads(record.value)
            found[record.key.decode(), value.get("grain", ""), value.get("start_ms", 0)] = value
    return found


def tallies(found: dict[tuple[str, str, int], dict[str, Any]]) -> Windows:
    return {key: (value["gained"], value["lost"]) for key, value in found.items()}


_SILENCE_S: Final = 600.0
"""Plain Faust may make no progress for minutes on a busy machine, after a rebalance."""


@pytest.fixture
def counted(kafka: LocalBroker, unique: str, tmp_path: Path) -> Counted:
    """Let a peer count the input, and wait until its results are what is due.

    Commits say little here. Plain Faust commits what its producer has yet to send, and leaves the
    last events uncommitted.
    """

    async def run(peer: Peer, *results: tuple[Look, object]) -> None:
        settings = named(kafka.bootstrap, unique, f"{unique}-in", flush_interval_s=0.2)
        await topics.create(settings)
        peer_settings = named(kafka.bootstrap, f"{unique}-p", f"{unique}-in", flush_interval_s=0.2)
        await create_topics(peer_settings, peer)
        sent = await fill(settings, MADE)
        log = tmp_path / "peer.log"
        with running(peer, peer_settings, warm_records=sent if peer.warm else 0, log=log) as it:

            async def wait(look: Callable[[], Awaitable[object]], due: object) -> None:
                patience = Patience(f"the results of {peer.name}", silence_s=_SILENCE_S)
                while (found := await look()) != due:
                    patience.look(found)
                    assert it.poll() is None, log.read_text()[-3_000:]
                    await asyncio.sleep(1.0)  # each look reads all results

            for look, due in results:
                await wait(partial(look, peer_settings), due)
            if peer is not PLAIN_FAUST:
                async with positions_of(peer_settings) as positions:
                    await wait(positions.total, sent)

    return run


async def rows_of_plain_faust(settings: Settings) -> tuple[Totals, Windows]:
    last: Totals = {}
    found: Windows = {}
    async for records in read_all(settings, settings.updates_topic):
        for record in records:
            assert record.value is not None
            row = json.loads(record.value)
            account = row["account_id"]
            last[account] = (row["gained"], row["lost"])
            for grain, window in row["windows"].items():
                at = window["last_event_ms"]
                start = at - at % GRAINS[grain]
                found[account, grain, start] = (window["gained"], window["lost"])
    return last, found


async def rows_of_tuned_streams(settings: Settings) -> tuple[Totals, Windows]:
    last = await last_of(settings, settings.updates_topic)
    rows = {key[0]: row for key, row in last.items()}
    found = {
        (account, grain, start): (gained, lost)
        for account, row in rows.items()
        for grain, held in row["windows"].items()
        for start, gained, lost in held
    }
    return {one: (row["gained"], row["lost"]) for one, row in rows.items()}, found


async def test_plain_faust_counts_what_a_dict_counts(counted: Counted) -> None:
    await counted(PLAIN_FAUST, (rows_of_plain_faust, model()))


@pytest.mark.usefixtures("kafka_streams")
async def test_idiomatic_kafka_streams_counts_what_a_dict_counts(counted: Counted) -> None:
    totals, windows = model()
    due = {(account, "", 0): tally for account, tally in totals.items()}

    async def updates(settings: Settings) -> Windows:
        return tallies(await last_of(settings, settings.updates_topic))

    async def results(settings: Settings) -> Windows:
        return tallies(await last_of(settings, settings.windows_topic))

    await counted(IDIOMATIC, (updates, due), (results, windows))


@pytest.mark.usefixtures("kafka_streams")
async def test_tuned_kafka_streams_counts_what_a_dict_counts(counted: Counted) -> None:
    await counted(TUNED, (rows_of_tuned_streams, model()))


async def test_the_floor_reads_every_record(counted: Counted) -> None:
    await counted(FLOOR)
