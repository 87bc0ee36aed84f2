"""One place builds a shard: each worker brings its engine, and gets the journal it asked for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from service.metrics.observed import Metrics
from service.runtime.journal_at_least_once import PlainJournal
from service.runtime.journal_kafka import KafkaJournal
from service.runtime.journal_transactional import TransactionalJournal
from service.runtime.reader import Reader
from service.runtime.shard import State
from service.runtime.shard_factory import ShardFactory
from service.runtime.shards import Shards
from service.settings import Guarantee, Settings
from tests.support.second.engine import Finals, Topics

ROOT = Path(__file__).parents[3]
FACTORY = ROOT / "service" / "runtime" / "shard_factory.py"


async def commit(partition: int, position: int, metadata: str) -> None:
    """Commit nothing."""


def factory(guarantee: Guarantee, *, can_commit: bool = True) -> ShardFactory[Finals]:
    """Shards of the second engine: the factory knows no engine."""
    shards: Shards[Finals] = Shards(lambda *_: None)
    return ShardFactory(
        settings=Settings(guarantee=guarantee),
        partitions=4,
        new_engine=lambda partition: Finals(partition, 4, Topics()),
        commit_position=commit if can_commit else None,
        queue=shards.queue,
        new_observer=Metrics().for_shard,
        fail=shards.fail,
    )


@pytest.mark.parametrize(
    ("guarantee", "kind"),
    [("exactly_once", TransactionalJournal), ("at_least_once", PlainJournal)],
)
def test_a_shard_has_the_journal_of_the_guarantee(
    guarantee: Guarantee, kind: type[KafkaJournal]
) -> None:
    shard = factory(guarantee)(3)
    assert isinstance(shard._journal, kind)
    assert shard._journal.source.partition == shard.engine.partition == shard.partition == 3
    assert shard.state is State.OPENING


def test_each_assignment_gets_a_reader_of_its_own() -> None:
    shard = factory("exactly_once")(3)
    first, second = shard._new_reader(), shard._new_reader()
    assert type(first) is Reader
    assert first is not second


def test_no_two_shards_share_an_engine_a_journal_or_an_observer() -> None:
    new_shard = factory("exactly_once")
    first, second = new_shard(0), new_shard(0)
    assert first.engine is not second.engine
    assert first._journal is not second._journal
    assert first._observer is not second._observer


def test_at_least_once_without_a_way_to_commit_is_a_bug() -> None:
    factory("exactly_once", can_commit=False)(0)
    with pytest.raises(AssertionError, match="the group's member"):
        factory("at_least_once", can_commit=False)(0)


def called(source: str) -> set[str]:
    """Names that a source calls, also as attributes, also `Name[...](...)`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            of = node.func.value if isinstance(node.func, ast.Subscript) else node.func
            found.add(getattr(of, "id", getattr(of, "attr", "")))
    return found


def test_nothing_else_builds_a_shard() -> None:
    rooms = ("service", "verify", "tests", "bench")
    sources = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    assert [path for path in sources if "Shard" in called(path.read_text())] == [FACTORY]
