"""The fuzzer: what it draws, that all agree on it, and that it finds a bug that is there."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import pytest

from service.audit.model import cloudevents as envelope
from service.audit.model import input_record
from service.contract import cloudevents
from service.contract import input_record as events
from service.contract.input_record import LogRecord, Reason
from service.counting import Engine
from service.counting import engine as counting
from service.kafka.aiokafka_ext import batches
from tests.support import reader_agreement
from tests.support.record_mutations import Drawn
from tests.support.upgrades import twice
from verify.fuzz import __main__ as command
from verify.fuzz import fuzz_log
from verify.fuzz.__main__ import fuzz_all
from verify.fuzz.fuzz_log import LENGTH, TOTAL, fuzz
from verify.fuzz.shrink import failure, shortest

SEEDS = 12


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """What a few seeds draw and come to."""
    return fuzz_all(range(SEEDS))


def test_what_is_fuzzed_is_judged_and_counted_and_all_agree(drawn: Drawn) -> None:
    assert SEEDS * LENGTH * 0.6 < drawn[TOTAL] <= SEEDS * LENGTH


def test_every_kind_is_drawn(drawn: Drawn) -> None:
    kinds = {name for name in drawn if name.partition(":")[0] in ("value", "key", "header")}
    assert kinds == {
        *("value: null", "value: empty", "value: at the limit", "value: beyond the limit"),
        *("value: a member twice", "value: bytes"),
        *("key: null", "key: empty", "key: not UTF-8", "key: another account"),
        *("key: longer than an id may be", "key: 70,000 bytes", "key: of another partition"),
        *("header: null", "header: name that is not UTF-8", "header: any"),
    }
    batches_ = {name for name in drawn if name.startswith("batch: ")} - {"batch: bomb"}
    assert batches_ == {
        *("batch: CRC", "batch: cut", "batch: records", "batch: packed bytes", "batch: length"),
        *("batch: magic", "batch: attributes", "batch: last offset", "batch: time"),
        *("batch: producer", "batch: number of records", "batch: offset of a record"),
        *(f"batch: codec {codec}" for codec in range(5)),
    }


def test_every_outcome_comes_and_most_reasons(drawn: Drawn) -> None:
    outcomes = ("applied", "late", "duplicate", "rejected", "heartbeat")
    assert all(drawn[f"offset: {name}"] for name in outcomes)
    reasons = {reason for reason in Reason if drawn[f"rejected: {reason}"]}
    missing = set(Reason) - reasons - {Reason.UNFORESEEN, Reason.BAD_FOLLOWERS}
    assert not missing, f"no mutation of tests/support/record_mutations.py makes {missing}"


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_BYTES", 1_000_000)  # a bomb is an eighth larger
    monkeypatch.setattr(fuzz_log, "BOMBS", 0.5)
    assert fuzz(1)["batch: bomb"] > 1


# ---- planted bugs: each is found, with its seed and the smallest input


def found(seeds: int = 40) -> str:
    """What the fuzzer says of the first seed that disagrees."""
    return next(said for seed in range(seeds) if (said := failure(partial(fuzz, seed))))


def test_a_decoder_that_disagrees_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_agreement, "read", _blind_to_null)
    said = found()
    assert "the auditor: ('rejected',) ('empty_value',)" in said
    assert "smallest: LogRecord(" in said
    assert "value=None, headers=[])" in said


def _blind_to_null(record: LogRecord, version: int) -> Any:
    return events.Heartbeat(0) if record.value is None else events.read(record, version)


def test_an_exception_while_judging_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(media_type: str) -> bool:
        return not media_type.startswith("text") or 1 // 0 > 0

    monkeypatch.setattr(cloudevents, "_is_json", broken)
    said = found()
    assert "ZeroDivisionError" in said
    assert "smallest: " in said


def test_an_auditor_that_knows_only_the_newest_rules_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not failure(lambda: reader_agreement.agree(twice(0)))
    monkeypatch.setattr(envelope, "_check_each_copy", lambda _: None)
    assert "by rules 1" in found(120)


def test_an_auditor_that_reads_every_spelling_by_all_rules_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(input_record, "MORE_SPELLINGS", 1)
    assert "by rules 1" in found(120)


class CountsTwice(Engine):
    """Counts one record of each batch of more than three twice."""

    def apply(self, records: Any, position: int) -> None:
        super().apply(records, position)
        if len(records) > 3:
            self._duplicate += 1


class MovesWithoutCounting(Engine):
    """Counts a rejected record as a heartbeat: the sum is right, the counts are not."""

    def _other(self, record: Any, verdict: Any) -> None:
        super()._other(record, verdict)
        if isinstance(verdict, events.Rejection):
            self._rejected_count -= 1
            self._heartbeat += 1


class ForgetsRanges(Engine):
    """Remembers the log by the rules of today, whatever it was counted by."""

    def restore(self, checkpoint: Any) -> None:
        """Take up a checkpoint."""
        super().restore(checkpoint)
        self._versions = ((0, 2),)


@pytest.mark.parametrize("engine", [CountsTwice, MovesWithoutCounting, ForgetsRanges])
def test_an_engine_that_counts_wrongly_is_found(
    monkeypatch: pytest.MonkeyPatch, engine: type[Engine]
) -> None:
    monkeypatch.setattr(fuzz_log, "Engine", engine)
    said = found()
    assert said.startswith("AssertionError: seed ")
    assert "smallest: [Part(records=[" in said


def test_an_engine_that_ends_by_a_record_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(counting, "late_record", broken)
    assert "ZeroDivisionError" in found()


def test_a_reader_that_leaves_out_records_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches.Batch, "_check", lambda *_: None)
    said = found()
    assert "do not rise" in said or "by the protocol" in said
    assert "smallest: (Spoil(" in said


def test_a_reader_that_refuses_what_can_be_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches.Batch, "_numbered", lambda _, part, __: part)
    assert "it can be read by the protocol, and is refused" in found()


def test_the_smallest_input_is_what_cannot_be_left_out() -> None:
    assert shortest(list(range(100)), lambda some: {3, 70} <= set(some)) == [3, 70]
    assert shortest(b"abc", lambda some: b"b" in some) == b"b"


# ---- the command


def test_the_command_tells_what_it_has_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "AT_A_TIME", 1)
    assert command.main(["--inputs", "500", "--processes", "1"]) == 0
    said = capsys.readouterr().out
    assert TOTAL in said
    assert "all accounted for, all agree" in said


def test_the_command_prints_what_it_found_and_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz_log, "Engine", CountsTwice)  # processes are forks
    monkeypatch.setattr(command, "AT_A_TIME", 1)
    monkeypatch.setattr(command, "MOST_FOUND", 1)
    assert command.main(["--inputs", "1000", "--processes", "1"]) == 1
    said = capfd.readouterr().out
    assert "smallest: [Part(records=[" in said
    assert "NOT all agree" in said


def test_the_command_names_the_seeds_at_which_a_process_has_died(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "fuzz", lambda _: os._exit(1))
    assert command.main(["--inputs", "1", "--processes", "1", "--start", "70"]) == 1
    assert "has died at one of the seeds [[70, 71," in capsys.readouterr().out
