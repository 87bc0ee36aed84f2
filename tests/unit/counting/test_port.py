"""What the runtime asks of the counting engine: the verbs of service/runtime/engine_port.py."""

from __future__ import annotations

import pytest

from service.contract.results import ResultTopics, Source
from service.contract.rule_versions import CURRENT
from service.counting import Checkpoint, Counts, Engine, Grain, Rules
from service.counting.checkpoint import SAMPLED_KEYS, SweepPosition
from tests.support.small_log import Counted

TOPICS = ResultTopics("u", "w", "l", "r")
RULES = Rules(grains=(Grain.parse("1m:30s:15m"),), dedup_generation=4, sweep_buckets=3)


def an_engine(**settings: str | int) -> Engine:
    return Engine(
        RULES,
        Source("follow-events", 0),
        topics=TOPICS,
        settings={"grains": "1m", **settings},
        defaults={"expire_after_ms": 0},
    )


def test_it_names_its_topics_with_the_table_among_them() -> None:
    engine = an_engine()
    assert engine.table_topics == ("u",)
    assert sorted(engine.output_topics) == ["l", "r", "u", "w"]


def test_a_seal_maps_each_topic_to_its_records_and_the_table_comes_last() -> None:
    engine = an_engine()
    log = Counted(engine=engine)
    for number in range(SAMPLED_KEYS + 3):
        log.event(at_s=number, account=f"account-{number}")
    log.event(at_s=1, action="like")
    sealed = engine.seal()
    assert list(sealed.outputs) == ["w", "l", "r", "u"]
    assert {topic: len(records) for topic, records in sealed.outputs.items()} == {
        "w": 0, "l": 0, "r": 1, "u": SAMPLED_KEYS + 3,
    }  # fmt: skip
    assert sealed.records == SAMPLED_KEYS + 4
    assert list(sealed.sampled_keys) == [f"account-{n}".encode() for n in range(SAMPLED_KEYS)]


def test_its_first_checkpoint_begins_where_the_log_does() -> None:
    first = an_engine().initial_checkpoint(17)
    assert (first.position, first.watermark_ms, first.counts) == (17, -1, Counts())
    assert first.sweep == SweepPosition()
    assert first.rules == ((17, CURRENT),)
    assert first.settings == {"grains": "1m"}


def test_it_reads_its_own_checkpoints_and_no_others() -> None:
    engine = an_engine()
    checkpoint = engine.seal().checkpoint
    again = engine.decode_checkpoint(checkpoint.position, checkpoint.to_metadata())
    assert isinstance(again, Checkpoint)
    assert again == checkpoint
    with pytest.raises(ValueError, match="truncated"):
        engine.decode_checkpoint(0, "")


def test_it_says_how_settings_differ_and_what_one_lacks_is_at_its_default() -> None:
    engine = an_engine(dedup_generation=4)
    assert engine.differences({"grains": "1m", "dedup_generation": 4, "expire_after_ms": 0}) == []
    assert engine.differences({"grains": "1h", "expire_after_ms": 5}) == [
        ("dedup_generation", None, 4),
        ("expire_after_ms", 5, 0),
        ("grains", "1h", "1m"),
    ]


def test_an_acknowledged_commit_changes_nothing_in_it() -> None:
    engine = an_engine()
    Counted(engine=engine).event(at_s=0, account="a")
    sealed = engine.seal()
    engine.committed(sealed.checkpoint)
    assert not engine.has_unsealed
    assert engine.unforeseen == ""
    assert engine.seal().checkpoint == sealed.checkpoint
