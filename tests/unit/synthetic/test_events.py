"""The synthetic source: the same events for the same seed, with the shares of its shape."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from service.cli import main
from service.contract.input_record import LogRecord, Reason, Rejection, judge
from service.contract.results import Source
from service.counting import Engine, Rules
from service.kafka.partitioning import partition_of
from service.synthetic.bad_records import SPOILERS, Good
from service.synthetic.events import Made, Shape, Synthetic, heartbeat
from service.synthetic.surges import Surges

START_MS = 1_767_225_600_000
MIXED = Shape(seed=7, accounts=200, duplicates=0.02, late=0.01, bad=0.01, disorder_s=0.5)


def span(shape: Shape, count: int) -> list[Made]:
    return list(Synthetic(shape).span(START_MS, rate=1_000, count=count))


def test_the_same_seed_makes_the_same_records() -> None:
    assert span(MIXED, 5_000) == span(MIXED, 5_000)


def test_another_seed_makes_other_records() -> None:
    other = Shape(seed=8, accounts=200, duplicates=0.02, late=0.01, bad=0.01)
    assert span(MIXED, 100) != span(other, 100)


def test_kinds_have_the_shares_that_were_asked_for() -> None:
    kinds = Counter(made.kind for made in span(MIXED, 100_000))
    assert kinds["duplicate"] == pytest.approx(2_000, rel=0.15)
    assert kinds["late"] == pytest.approx(1_000, rel=0.15)
    assert kinds["bad"] == pytest.approx(1_000, rel=0.15)
    assert sum(kinds.values()) == 100_000


def test_the_engine_finds_each_record_to_be_what_it_was_made_to_be() -> None:
    made = span(MIXED, 20_000)
    engine = Engine(Rules(), Source("in", 0))
    records = [LogRecord(i, -1, m.key, m.value, m.headers) for i, m in enumerate(made)]
    engine.apply(records, len(records))
    kinds = Counter(m.kind for m in made)
    counts = engine.counts
    assert counts.rejected == kinds["bad"]
    assert counts.duplicate == kinds["duplicate"]
    # the first records of a log cannot be late: nothing has moved the watermark yet
    assert kinds["late"] - 3 <= counts.late <= kinds["late"]
    assert counts.total == 20_000


def test_every_reason_has_a_record_that_is_rejected_for_exactly_it() -> None:
    good = next(m for m in span(Shape(disorder_s=0.0), 10) if m.kind == "event")
    assert good.key is not None
    assert good.value is not None
    for reason, spoil in SPOILERS:
        spoilt = spoil(Good(good.key, good.value, json.loads(good.value)["occurred_at"]))
        verdict = judge(LogRecord(0, -1, *spoilt))
        assert isinstance(verdict, Rejection)
        assert verdict.reason == reason
    others = {Reason.BAD_HEADER_NAME, Reason.UNFORESEEN, Reason.SKIPPED}
    assert {reason for reason, _ in SPOILERS} == set(Reason) - others


def test_every_event_is_labelled_synthetic_and_keyed_by_its_account() -> None:
    for made in span(Shape(seed=3, duplicates=0.1, late=0.1), 1_000):
        event = json.loads(made.value or b"")
        assert event["synthetic"] is True
        assert made.key == event["account_id"].encode()


def test_no_event_is_from_the_future() -> None:
    source = Synthetic(Shape(disorder_s=2.0))
    events = [json.loads(made.value or b"") for made in source.at(START_MS, 1_000)]
    assert max(event["occurred_at"] for event in events) <= START_MS


def test_skew_makes_few_accounts_hot_and_none_makes_all_alike() -> None:
    hot = Counter(made.key for made in span(Shape(accounts=1_000, skew=1.1), 20_000))
    alike = Counter(made.key for made in span(Shape(accounts=1_000), 20_000))
    assert hot.most_common(1)[0][1] > 5_000
    assert alike.most_common(1)[0][1] < 100


def test_surges_move_a_few_accounts_both_ways() -> None:
    nets: Counter[bytes] = Counter()
    for made in span(Shape(accounts=1_000, surges=12), 60_000):
        step = 1 if json.loads(made.value or b"")["action"] == "follow" else -1
        nets[made.key or b""] += step
    ranked = nets.most_common()
    assert ranked[0][1] > 500
    assert ranked[-1][1] < -100


def test_who_surges_is_a_function_of_seed_and_time() -> None:
    one, other = (Surges(5, slots=8, accounts=1_000) for _ in range(2))
    one.table(START_MS)  # earlier requests do not matter
    assert one.table(START_MS + 9_000) == other.table(START_MS + 9_000)


def test_a_heartbeat_moves_the_watermark_and_is_no_event() -> None:
    engine = Engine(Rules(), Source("in", 0))
    made = heartbeat(START_MS)
    engine.apply([LogRecord(0, -1, made.key, made.value, made.headers)], 1)
    assert engine.watermark_ms == START_MS
    assert engine.counts.heartbeat == 1


def test_a_baseline_for_every_account_is_accepted() -> None:
    engine = Engine(Rules(), Source("in", 0))
    made = list(Synthetic(Shape(accounts=50)).baselines(START_MS))
    engine.apply([LogRecord(i, -1, m.key, m.value) for i, m in enumerate(made)], len(made))
    assert engine.counts.applied == 50


def test_the_partition_of_a_key_is_kafkas_own() -> None:
    # org.apache.kafka.common.utils.UtilsTest: murmur2("21") = -973932308, murmur2("foobar") =
    # -790332482; toPositive clears the sign bit
    assert partition_of(b"21", 1_000) == (-973932308 & 0x7FFFFFFF) % 1_000
    assert partition_of(b"foobar", 1_000) == (-790332482 & 0x7FFFFFFF) % 1_000


def test_a_file_has_the_same_lines_for_the_same_seed(tmp_path: Path) -> None:
    names = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for name in names:
        line = f"generate --events 500 --seed 4 --duplicates 0.1 --bad 0.1 --output {name}"
        assert main(line.split()) == 0
    assert names[0].read_bytes() == names[1].read_bytes()
    assert names[0].read_bytes().count(b'"log_time_ms"') > 400


def test_baselines_come_first_in_a_file_if_they_are_wanted(tmp_path: Path) -> None:
    name = tmp_path / "events.jsonl"
    line = f"generate --events 20 --accounts 5 --baselines --output {name}"
    assert main(line.split()) == 0
    actions = [json.loads(line)["action"] for line in name.read_bytes().splitlines()]
    assert actions[:5] == ["baseline"] * 5
    assert len(actions) == 25
    assert "baseline" not in actions[5:]
