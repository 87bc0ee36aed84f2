"""What `netfollowers doctor` checks: everything that a deployment needs. Prints what to do.

Changes nothing but one thing: it starts and stops a transactional producer of an id of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaConnectionError,
    KafkaError,
)
from aiokafka.structs import OffsetAndMetadata

from service import __version__
from service.commands.doctor_input import look_at_input, look_at_rows
from service.commands.doctor_note import Note
from service.commands.doctor_workers import look_at_workers
from service.contract.topics import TOPICS
from service.counting import Checkpoint
from service.exit_codes import ExitCode
from service.kafka import clients
from service.kafka import topic_admin as topics
from service.settings import Settings

_ANSWER_WITHIN_S: Final = 15.0
_OPEN_FOR_S: Final = 1.0
_WELL: Final = {"Stable", "PreparingRebalance", "CompletingRebalance"}


Look = Callable[[Settings], Awaitable[list[Note]]]


def check_all(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Check everything, and print it. WRONG: something is an error."""
    return asyncio.run(_run(settings, options))


async def _run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    worst = ExitCode.OK
    looks: list[tuple[str, Look]] = [
        ("versions", _versions),
        ("brokers", _brokers),
        ("topics", _topics),
        ("transactions", _transactions),
        ("group", _group),
        ("commits", _commits),
        ("input", lambda settings: look_at_input(settings, options.records)),
        ("table", lambda settings: look_at_rows(settings, options.records)),
    ]
    for name, look in looks:
        print(f"{name}:")
        try:
            async with asyncio.timeout(options.timeout):
                notes = await look(settings)
        except (KafkaError, TimeoutError, OSError) as error:
            notes = [Note("error", f"cannot be looked at: {error!r}", _what_to_do(settings, error))]
        for note in notes:
            print(note)
            if note.level == "error":
                worst = ExitCode.WRONG
        if name == "brokers" and worst:
            break  # nothing behind it can be seen
    print("doctor: " + ("something is wrong" if worst else "nothing is wrong"))
    return worst


def _what_to_do(settings: Settings, error: BaseException) -> str:
    if "Authorization" in type(error).__name__:
        return "grant it: the table of rights is in docs/operate/security.md"
    if isinstance(error, KafkaConnectionError | TimeoutError | OSError):
        where = f"NETFOLLOWERS_BROKERS={settings.brokers}"
        return f"is there a broker at {where}, and is the protocol correct?"
    return "see the log of the broker"


async def _versions(_: Settings) -> list[Note]:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("faust-streaming", "aiokafka"))
    python = ".".join(map(str, sys.version_info[:3]))
    return [Note("ok", f"netfollowers {__version__}, Python {python}, {libraries}")]


async def _brokers(settings: Settings) -> list[Note]:
    async with clients.open_admin(settings) as admin:
        cluster = await admin.describe_cluster()
    nodes = [f"{node['host']}:{node['port']}" for node in cluster["brokers"]]
    notes = [Note("ok", f"{len(nodes)} brokers answer for {settings.brokers}: {', '.join(nodes)}")]
    if len(nodes) < settings.replication_factor:
        text = f"replication factor {settings.replication_factor} with {len(nodes)} brokers"
        notes.append(Note("error", text, "add brokers, or lower NETFOLLOWERS_REPLICATION_FACTOR"))
    return notes


async def _topics(settings: Settings) -> list[Note]:
    findings = await topics.check(settings)
    return [
        Note("error" if finding.is_error else "warning", finding.text, finding.fix)
        for finding in findings
    ] or [Note("ok", f"all {len(TOPICS)} topics are configured correctly")]


async def _transactions(settings: Settings) -> list[Note]:
    if not settings.is_exactly_once:
        text = "guarantee at_least_once: only one worker is allowed, and results may repeat"
        return [
            Note(
                "warning",
                text,
                "set NETFOLLOWERS_GUARANTEE=exactly_once if the broker has transactions",
            )
        ]
    producer = clients.transactional_producer(settings, f"{settings.app_id}-doctor")
    try:
        await clients.start(producer)
    except (KafkaError, TimeoutError) as error:
        todo = "use a broker with transactions and grant write on transactional ids "
        todo += f"{settings.app_id}-*; or set NETFOLLOWERS_GUARANTEE=at_least_once"
        return [Note("error", f"a transactional producer cannot start: {error!r}", todo)]
    finally:
        await producer.stop()
    return [Note("ok", "a transactional producer starts")]


async def _group(settings: Settings) -> list[Note]:
    async with clients.open_admin(settings) as admin:
        answers = await _described(admin, settings.app_id)
    group = answers[0].to_object()["groups"][0]
    state, members = group["state"], group["members"]
    notes = []
    if state in _WELL:
        hosts = ", ".join(sorted(str(member["client_host"]) for member in members))
        notes.append(Note("ok", f"group {settings.app_id} is {state}: {len(members)} on {hosts}"))
        notes += await look_at_workers([member["member_assignment"] for member in members])
    else:
        text = f"group {settings.app_id} is {state or 'unknown'}: no worker is in it"
        notes.append(Note("warning", text, "start one: netfollowers worker"))
    return notes


async def _described(admin: AIOKafkaAdminClient, group: str) -> list[Any]:
    """Ask again: a broker that never had a group must first create the topic for commits."""
    async with asyncio.timeout(_ANSWER_WITHIN_S):
        while True:
            try:
                found: list[Any] = await admin.describe_consumer_groups([group])
            except GroupCoordinatorNotAvailableError:
                await asyncio.sleep(0.5)
                continue
            return found


async def _commits(settings: Settings) -> list[Note]:
    """Check position, lag and fingerprint of each partition."""
    reader = clients.consumer(settings, group_id=settings.app_id)
    await clients.start(reader)
    try:
        count = len(await reader._client._wait_on_metadata(settings.input_topic))  # noqa: SLF001
        tps = [TopicPartition(settings.input_topic, number) for number in range(count)]
        reader.assign(tps)
        found = await reader._coordinator.fetch_committed_offsets(tps)  # noqa: SLF001
        ends = await reader.end_offsets(tps)
        starts = await reader.beginning_offsets(tps)
    finally:
        await reader.stop()
    hidden = await _hidden(settings, ends)
    commits = {tp: at for tp, at in found.items() if at.offset >= 0}
    if not commits:
        text = f"group {settings.app_id} has committed nothing yet"
        way = (
            "this is normal before the first worker has run; later: its offsets have expired or "
            "were deleted (docs/operate/runbook.md, Checkpoint overwritten)"
        )
        return [*hidden, Note("warning", text, way)]
    notes = list(hidden)
    for tp, at in sorted(commits.items()):
        notes += _commit(settings, count, tp, at, starts[tp])
    lag = sum(ends[tp] - (commits[tp].offset if tp in commits else starts[tp]) for tp in tps)
    notes.append(Note("ok", f"{len(commits)} of {count} partitions committed, lag {lag:,} records"))
    return notes


async def _hidden(settings: Settings, ends: dict[TopicPartition, int]) -> list[Note]:
    """Check for open transactions of producers on the input, which hide later records.

    It looks twice, one second apart. A transaction that has only just begun does not matter.
    """
    everything = clients.consumer(settings, isolation_level="read_uncommitted")
    stable = clients.consumer(settings)
    try:
        await clients.start(everything)
        await clients.start(stable)
        heads = await everything.end_offsets(list(ends))
        if heads == ends:
            return []
        await asyncio.sleep(_OPEN_FOR_S)
        later = await stable.end_offsets(list(ends))
    finally:
        await everything.stop()
        await stable.stop()
    return [
        Note(
            "error",
            f"{tp.topic} partition {tp.partition}: an open transaction of a producer hides "
            f"{heads[tp] - end:,} records, from offset {end} on; they are not counted",
            f"docs/operate/runbook.md, NetFollowersHidden; if it hangs: kafka-transactions.sh "
            f"--bootstrap-server {settings.brokers} abort --topic {tp.topic} "
            f"--partition {tp.partition} --start-offset {end}",
        )
        for tp, end in sorted(ends.items())
        if heads[tp] > end and later[tp] == end
    ]


def _commit(
    settings: Settings, count: int, tp: TopicPartition, at: OffsetAndMetadata, start: int
) -> list[Note]:
    where = f"{tp.topic} partition {tp.partition}"
    if start > at.offset:
        text = f"{where}: the log begins at {start}, after the commit at {at.offset}"
        return [
            Note(
                "error",
                text,
                "docs/operate/failures.md: retention has passed the committed offset",
            )
        ]
    try:
        checkpoint = Checkpoint.from_metadata(at.offset, at.metadata)
    except ValueError as error:
        text = f"{where}: the commit at {at.offset} is not a checkpoint ({error})"
        way = (
            "stop the workers, then: netfollowers rebuild "
            "(docs/operate/runbook.md, Checkpoint overwritten)"
        )
        return [Note("error", text, way)]
    return [
        Note(
            "error",
            f"{where} was counted with {name}={theirs}, these settings have {name}={ours}",
            "docs/operate/runbook.md, Partitions added to the input"
            if name == "partitions"
            else "set it back, or roll it out as docs/operate/versioning.md says",
        )
        for name, theirs, ours in settings.differences(checkpoint.settings, count)
    ] + [
        Note("ok", f"{where}: offsets {first} to {stop - 1} were stepped over: {why}")
        for first, stop, why in checkpoint.skipped
    ]
