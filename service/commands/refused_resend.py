"""Sends rejected records to the input again, corrected by a command of the user.

The command gets one JSON line per record on its standard input and answers with one line each:

    {"place": "3:17", "reason": "bad_time", "key": "ann", "value": "...", "headers": {...}}

`key` and `value` of the answer are sent. An answer without a value (`null`, or an empty line)
leaves the record out. Without a command, the records are sent unchanged (after a fix in the
service). The event id is that of the producer, so a record that is sent twice counts once. A
replayed record has a header and is not replayed again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from service.commands.refused_records import OURS, REPLAYED, Refused, chosen_by, read
from service.contract.input_record import Reason
from service.counting.checkpoint import MOST_UNFORESEEN
from service.errors import UsageError
from service.exit_codes import ExitCode
from service.kafka import clients
from service.settings import Settings
from service.synthetic.batch_sender import Outbox
from service.synthetic.events import Made

_SHOWN: Final = 5
GONE: Final = "stepped over, there are no bytes"
_PER_STEP_S: Final = 0.1


def resend(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Print what would be sent, or send it. UsageError: the filter failed."""
    return asyncio.run(_run(settings, options))


async def _run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    is_chosen = chosen_by(options)
    records, skipped = [], {"replayed before": 0, "cut, some of its bytes are missing": 0, GONE: 0}
    async for one in read(settings, settings.rejected_topic):
        if not is_chosen(one):
            continue
        if any(name == REPLAYED for name, _ in one.headers):
            skipped["replayed before"] += 1
        elif one.labels[f"{OURS}truncated"] == "true":
            skipped["cut, some of its bytes are missing"] += 1
        elif one.why == Reason.SKIPPED:
            skipped[GONE] += 1
        else:
            records.append(one)
    made = _corrected(records, options.filter)
    skipped["left out by the filter"] = len(records) - len(made)
    told = [f"not sent: {number:,} {why}" for why, number in skipped.items() if number]
    for line in (*told, *may_be_duplicates(records, settings.dedup_generation)):
        print(line)
    for each in made[:_SHOWN]:
        print(f"{_place(each)}  {each.key!r} {(each.value or b'')[:120]!r}")
    if not options.send:
        print(f"dry run: {len(made):,} records would be sent; add --send")
        return ExitCode.OK
    await _send(settings, made, options.rate)
    print(f"sent {len(made):,} records to {settings.input_topic}")
    return ExitCode.OK


def may_be_duplicates(records: Sequence[Refused], generation: int) -> Iterator[str]:
    """Warn of unforeseen records that a restarted worker may treat as duplicates.

    Its checkpoint names only the newest of them. It remembers the ids of the others like those of
    any event, for two generations.
    """
    found = Counter(one.partition for one in records if one.why == Reason.UNFORESEEN)
    for partition, number in sorted(found.items()):
        if number > MOST_UNFORESEEN:
            yield (
                f"partition {partition}: {number:,} records are unforeseen. A worker that was "
                f"restarted may take all but the newest {MOST_UNFORESEEN} for duplicates: send "
                "those under new event ids (--filter), or when the partition has counted "
                f"{2 * generation:,} offsets more"
            )


def _place(made: Made) -> str:
    return (dict(made.headers)[REPLAYED] or b"").decode()


def _corrected(records: Sequence[Refused], command: str | None) -> list[Made]:
    if command is None:
        answers: list[Any] = [_question(one) for one in records]
    else:
        answers = _ask(command, [_question(one) for one in records])
    made = []
    for one, answer in zip(records, answers, strict=True):
        if not answer or answer.get("value") is None:
            continue
        mark = (REPLAYED, one.place.encode())
        key, value = _bytes(answer.get("key")), _bytes(answer["value"])
        made.append(Made(key, value, [*one.headers, mark], "replayed"))
    return made


def _ask(command: str, questions: Sequence[dict[str, Any]]) -> list[Any]:
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run(  # noqa: S602 - the user's own command line
        command, shell=True, input=lines.encode(), stdout=subprocess.PIPE, check=False
    )
    # Lines end at a line feed and nowhere else: JSON may hold other characters that end lines.
    answers = done.stdout.removesuffix(b"\n").split(b"\n") if done.stdout else []
    if done.returncode or len(answers) != len(questions):
        message = (
            f"the filter ended with {done.returncode} and {len(answers)} lines "
            f"for {len(questions)} records"
        )
        raise UsageError(message)
    try:
        return [json.loads(line.decode()) if line.strip() else None for line in answers]
    except ValueError as error:
        message = f"the filter's answer is not JSON Lines: {error}"
        raise UsageError(message) from None


def _question(one: Refused) -> dict[str, Any]:
    return {
        "place": one.place,
        "reason": one.why,
        "detail": one.labels[f"{OURS}detail"],
        "key": _text(one.key),
        "value": _text(one.value),
        "headers": {name: _text(text) for name, text in one.headers},
    }


def _text(data: bytes | None) -> str | dict[str, str] | None:
    """Return bytes in the form of JSON: text, or {"base64": ...} if they are not UTF-8."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def _bytes(said: object) -> bytes | None:
    if isinstance(said, dict):
        return b64decode(str(said["base64"]))
    return None if said is None else str(said).encode()


async def _send(settings: Settings, made: Sequence[Made], rate: float) -> None:
    producer = clients.producer(settings, enable_idempotence=settings.is_exactly_once)
    await clients.start(producer)
    try:
        partitions = len(await producer.partitions_for(settings.input_topic))
        outbox = Outbox(producer, settings.input_topic, partitions)
        step = max(1, round(rate * _PER_STEP_S)) if rate else len(made) or 1
        for first in range(0, len(made), step):
            outbox.put_all(made[first : first + step])
            await outbox.send()
            if rate:
                await asyncio.sleep(_PER_STEP_S)
        await outbox.settle()
    finally:
        await producer.stop()
