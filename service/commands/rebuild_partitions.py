"""Rebuilds the checkpoint of a partition that another client has overwritten.

It uses the results and the log. A client with the same group id overwrites the commit and its
metadata. The lost values are found again (`rebuild_plan`), and the audit must agree before anything
is committed.
"""

from __future__ import annotations

import argparse
import asyncio

from aiokafka.errors import ProducerFenced

from service.audit.sources.source import Source
from service.commands.audit_source import check_partition, source_of, verdict
from service.commands.progress_bar import Bar
from service.commands.rebuild_plan import Plan, Planner
from service.commands.stopped_group import check_stopped
from service.contract.rule_versions import RulesTooNewError, continued
from service.counting import Checkpoint, Publisher, Sealed
from service.errors import RefusedError
from service.exit_codes import ExitCode
from service.runtime.journal import ForeignCommitError
from service.runtime.journal_transactional import TransactionalJournal
from service.settings import Settings


def rebuild(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Print what would be committed, or commit it. WRONG: the command refused, and says why."""
    try:
        return asyncio.run(_run(settings, options))
    except RefusedError as refused:
        print(f"refused: {refused}")
        return ExitCode.WRONG


async def _run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    await check_stopped(settings)
    codes: list[ExitCode] = []
    async with source_of(settings, None) as source:
        await check_partition(source, options.partition)
        count = await source.partitions()
        await _check_settings(settings, count)
        for partition in range(count) if options.partition is None else [options.partition]:
            try:
                codes.append(await _partition(settings, options, source, partition, count))
            except RefusedError as refused:
                print(f"partition {partition}: refused: {refused}")
                codes.append(ExitCode.WRONG)
    if ExitCode.WRONG in codes:
        return ExitCode.WRONG
    return max(codes)


async def _partition(
    settings: Settings, options: argparse.Namespace, source: Source, partition: int, count: int
) -> ExitCode:
    if not settings.is_exactly_once:
        return await _in_table(settings, source, partition)
    journal = _journal(settings, partition, count)
    try:
        await journal.fence()
        found, why = await _found(journal)
        if found is not None and options.partition is None:
            print(f"partition {partition}: the commit at {found.position} is valid: not changed")
            return ExitCode.OK
        with Bar() as bar:
            planner = Planner(settings, count, source, journal, bar.begin)
            plan = await planner.plan(options.rules, found)
        if plan is None:
            print(f"partition {partition}: nothing was counted there: nothing to rebuild")
            return ExitCode.OK
        print(why)
        _show(plan)
        if not plan.report.is_published:
            raise RefusedError(_disagrees(options))
        if options.yes:
            await _commit(settings, journal, plan.checkpoint)
            print(
                f"partition {partition}: rebuilt at {plan.checkpoint.position}: start the workers"
            )
        else:
            print("dry run: nothing was changed; add --yes")
    finally:
        await journal.close()
    is_incomplete = plan.unknown or plan.report.admitted
    return ExitCode.INCOMPLETE if is_incomplete else verdict(plan.report)


def _journal(settings: Settings, partition: int, count: int) -> TransactionalJournal:
    publisher = Publisher(settings.result_topics)
    return TransactionalJournal(settings, partition, count, publisher)


async def _commit(
    settings: Settings, journal: TransactionalJournal, checkpoint: Checkpoint
) -> None:
    """Commit the checkpoint, unless a worker was started meanwhile: it has fenced this command."""
    await check_stopped(settings)
    try:
        await journal.commit(Sealed(checkpoint, settings.result_topics, [], [], [], []))
    except ProducerFenced:
        message = (
            "a worker has opened the partition meanwhile: stop every worker, and its supervisor"
        )
        raise RefusedError(message) from None


async def _committed(journal: TransactionalJournal) -> Checkpoint | None:
    """Read the checkpoint of the group's commit. ForeignCommitError: no worker has made it."""
    found = await journal.committed()
    assert found is None or isinstance(found, Checkpoint)
    return found


async def _found(journal: TransactionalJournal) -> tuple[Checkpoint | None, str]:
    """Find a checkpoint that a worker has committed, and say what is wrong."""
    here = f"partition {journal.source.partition}"
    try:
        found = await _committed(journal)
    except ForeignCommitError as lost:
        return None, lost.what
    if found is None:
        return None, (
            f"{here} has no commit: it has expired or was deleted. Or another "
            "NETFOLLOWERS_APP_ID counts into these topics: then do not continue"
        )
    return found, f"{here}: the commit at {found.position} is valid, and --partition names it"


async def _check_settings(settings: Settings, count: int) -> None:
    """Compare the settings with those of each checkpoint that still exists."""
    if not settings.is_exactly_once:
        return
    for partition in range(count):
        try:
            found = await _committed(_journal(settings, partition, count))
        except ForeignCommitError:
            continue
        if found is not None:
            check_settings(settings, partition, found, count)


def check_settings(settings: Settings, partition: int, found: Checkpoint, count: int) -> None:
    """RefusedError: these are not the settings or the program that counted a partition."""
    for name, theirs, ours in settings.differences(found.settings, count):
        message = (
            f"partition {partition} was counted with {name}={theirs}, these settings have "
            f"{name}={ours}: use the settings that the workers had"
        )
        raise RefusedError(message)
    try:
        continued(found.rules, found.position)
    except RulesTooNewError as error:
        message = f"partition {partition}: {error}: use the version that the workers had"
        raise RefusedError(message) from None


async def _in_table(settings: Settings, source: Source, partition: int) -> ExitCode:
    """Say that nothing can be rebuilt: at least once, the checkpoint is a record of the table."""
    snapshot = await source.snapshot(partition)
    if snapshot.committed is None and snapshot.extents["updates"].stop > 0:
        message = (
            f"with at_least_once the checkpoint is a record of {settings.updates_topic}, and this "
            "record is gone: rows may be ahead of any position, so no checkpoint can be rebuilt"
        )
        raise RefusedError(message)
    print(
        f"partition {partition}: with at_least_once the checkpoint is a record of "
        f"{settings.updates_topic}; the group's commit is not read: nothing to rebuild"
    )
    return ExitCode.OK


def _show(plan: Plan) -> None:
    one, counts = plan.checkpoint, plan.checkpoint.counts
    print(
        f"position {one.position}  watermark {one.watermark_ms}  rows {one.rows}\n"
        f"applied {counts.applied}  late {counts.late}  duplicate {counts.duplicate}  "
        f"rejected {counts.rejected}  heartbeat {counts.heartbeat}\n"
        f"rules {','.join(f'{start}:{version}' for start, version in one.rules)}  "
        f"ranges stepped over {len(one.skipped)}\n"
        f"settings {' '.join(f'{name}={value}' for name, value in one.settings.items())}: they "
        "must be those of the workers"
    )
    for line in plan.unknown:
        print(f"NOT KNOWN {line}")
    print(plan.report)
    if plan.report.is_published and plan.report.admitted:
        print(
            f"{plan.report.admitted} of these were rejected as unforeseen when they came, and stay "
            "rejected: see `netfollowers rejected replay --reason unforeseen`"
        )


def _disagrees(options: argparse.Namespace) -> str:
    disagrees = (
        "the audit disagrees, so nothing was committed. Are the settings above those of the "
        "workers? "
    )
    if options.rules:
        return disagrees + (
            "Are the offsets of --rules those of this partition? Else see `Checkpoint overwritten` "
            "in docs/operate/runbook.md"
        )
    return disagrees + (
        "If the service was upgraded while this log was counted, name the first offset of each "
        "version of the rules in this partition: --partition 3 --rules 0:1,81234:2 (the position "
        "that the first worker of the new version logged as `shard open`). Else see `Checkpoint "
        "overwritten` in docs/operate/runbook.md"
    )
