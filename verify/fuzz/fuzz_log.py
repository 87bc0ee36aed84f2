"""One log of mutated records, from a seed. It is unpacked, judged and counted in all ways.

The stages, each of which works on what the one before returns:

    mutated records -> batches, half of them spoilt -> what a consumer unpacks
    -> decoder and auditor on each record, by each version of the rules
    -> an engine, through seals, crashes, an upgrade and ranges stepped over -> the audit
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from random import Random
from typing import Final, NamedTuple, NoReturn

from service.audit.checks.rejects import unforeseen_in
from service.contract.input_record import LogRecord
from service.contract.skipped_ranges import MOST
from service.counting import Engine
from tests.support.batch_bytes import fetched, packed
from tests.support.crash_harness import World
from tests.support.random_log import random_log, small_rules
from tests.support.reader_agreement import VERSIONS, agree, arrived
from tests.support.record_mutations import Drawn, Spoil, bomb, mutated, spoil
from verify.fuzz.shrink import failure, plainest, shortest

LENGTH: Final = 250
"""Records of one log: in longer ones time runs away, and each record is late."""
BOMBS: Final = 0.0005
"""The part of batches that are bombs: each costs a quarter of a second."""
TOTAL: Final = "records judged and counted"
_OUTCOMES: Final = ("applied", "late", "duplicate", "rejected", "heartbeat")


class Part(NamedTuple):
    """What a consumer gets of a batch. From `end` to `stop`, if not 0, no client can unpack it."""

    records: list[LogRecord]
    end: int
    stop: int


def fuzz(seed: int) -> Drawn:
    """Mutate, unpack, judge and count one log. Return the number of each outcome and kind.

    AssertionError if two results disagree. It names the seed and the smallest input.
    """
    random, drawn = Random(seed), Drawn()
    log = [mutated(random, one, drawn) for one in random_log(random, LENGTH)]
    parts: list[Part] = []
    first = 0
    while log:
        length = random.choice((1, 5, 20, 60))
        batch, log = log[:length], log[length:]
        shift = max(0, first - batch[0].offset)
        parts.append(_part(random, seed, [_moved(one, shift) for one in batch], drawn))
        first = max(parts[-1].end, parts[-1].stop)
    for record in (one for part in parts for one in part.records):
        if why := failure(partial(agree, record)):
            _found(seed, why, plainest(record, lambda one: bool(failure(partial(agree, one)))))
        drawn[TOTAL] += 1
    try:
        return drawn + _outcomes(live(seed, parts))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is found
        _found(seed, f"{type(error).__name__}: {error}", _smallest(seed, parts))


def _moved(one: LogRecord, by: int) -> LogRecord:
    return LogRecord(one.offset + by, one.timestamp, one.key, one.value, one.headers)


def _found(seed: int, why: str, smallest: object) -> NoReturn:
    message = f"seed {seed}: {why[:3_000]}\nsmallest: {str(smallest)[:10_000]}"
    raise AssertionError(message)


def _part(random: Random, seed: int, sent: list[LogRecord], drawn: Drawn) -> Part:
    """Send a batch, and unpack what comes of it."""
    first, plain = sent[0].offset, packed(sent)
    if random.random() < BOMBS:
        drawn["batch: bomb"] += 1
        _, end, why = fetched(bomb(first, random.choice((1, 3, 4))), first)
        assert why, f"seed {seed}: a bomb was unpacked"
        return Part([], end, end + 1)
    how = spoil(random, plain, drawn)

    def fails(changes: list[tuple[int, int]]) -> str:
        return failure(lambda: arrived(how._replace(changes=tuple(changes)).of(plain), first))

    if why := fails(list(how.changes)):
        fewer = shortest(list(how.changes), lambda some: bool(fails(some)))
        _found(seed, why, (how._replace(changes=tuple(fewer)), plain.hex()))
    records, end, why = arrived(how.of(plain), first)
    drawn["batch (cannot be unpacked)" if why else "batch (unpacked)"] += 1
    if how == Spoil(how.codec) and (records, why) != (sent, ""):
        _found(seed, why, (sent, records))
    return Part(records, end, max(end, sent[-1].offset) + 1 if why else 0)


def live(seed: int, parts: Iterable[Part]) -> World:
    """Count the parts, with an upgrade before one of them or without. AssertionError."""
    random = Random(f"life {seed}")
    versions = random.choice([(one,) for one in VERSIONS] + [(1, VERSIONS[-1]), (2, VERSIONS[-1])])
    upgrade = random.randrange(10)
    world = World(small_rules(random), [], new_engine=partial(Engine, version=versions[0]))
    stepped = 0
    for number, part in enumerate(parts):
        if number == upgrade and len(versions) > 1:
            world.use(partial(Engine, version=versions[1]))
            world.restart()
        world.extend(part.records)
        world.run(random, crashes=0.03)
        world.engine.apply([], max(part.end, world.engine.position))
        if part.stop and stepped < MOST:
            stepped += 1
            world.step_over(part.stop)
    world.run(random)
    findings = world.findings()
    assert findings.ok, str(findings)
    unforeseen = unforeseen_in(world.results["rejected"])
    assert not unforeseen, f"unforeseen at {unforeseen}"
    return world


def _smallest(seed: int, parts: Sequence[Part]) -> list[Part]:
    """Leave out records and whole batches, as long as it fails."""
    pieces = [
        (number, piece)
        for number, part in enumerate(parts)
        for piece in (*part.records, part._replace(records=[]))
    ]

    def joined(some: list[tuple[int, LogRecord | Part]]) -> list[Part]:
        left: dict[int, Part] = {}
        for number, piece in some:
            part = left.get(number, Part([], 0, 0))
            if isinstance(piece, Part):
                left[number] = piece._replace(records=part.records)
            else:
                left[number] = part._replace(records=[*part.records, piece])
        return list(left.values())

    return joined(shortest(pieces, lambda some: bool(failure(lambda: live(seed, joined(some))))))


def _outcomes(world: World) -> Drawn:
    drawn = Drawn({f"offset: {name}": getattr(world.engine.counts, name) for name in _OUTCOMES})
    for one in world.results["rejected"]:
        reason = (dict(one.headers)["netfollowers-reason"] or b"").decode()
        drawn[f"rejected: {reason}"] += 1
    return drawn
