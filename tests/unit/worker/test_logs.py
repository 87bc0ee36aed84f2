"""Logs say once what a person must act on."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

from service.logs import AsJson, OncePerInterval


def record(name: str, message: str, *args: object, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, "f", 1, message, args, None)


def test_a_library_says_the_same_thing_once_per_interval() -> None:
    once = OncePerInterval(interval_s=60)
    lines = [record("aiokafka.conn", "Unable to connect to %s", port) for port in range(3_119)]
    assert sum(once.filter(line) for line in lines) == 1


def test_what_was_held_back_is_said_with_the_next_line() -> None:
    once = OncePerInterval(interval_s=0.0)
    once._last["aiokafka.conn", logging.ERROR, "x %s"] = (float("-inf"), 41)
    line = record("aiokafka.conn", "x %s", 1)
    assert once.filter(line)
    assert line.getMessage() == "x 1 (and 41 similar lines before)"


def test_other_messages_and_our_own_lines_all_come_through() -> None:
    once = OncePerInterval(interval_s=60)
    assert all(once.filter(record("aiokafka", f"message {number}")) for number in range(5))
    assert all(once.filter(record("service.runtime.shard", "same")) for _ in range(5))


def test_connection_errors_are_one_line_per_broker_whatever_its_name() -> None:
    once = OncePerInterval(interval_s=60)
    down = [
        record("aiokafka", 'Unable connect to "%s:%s": %s', "kafka-1", 9092, "refused"),
        record("aiokafka", "Unable connect to node with id %s: %s", 2, "[Errno 111] Connect call "
               "failed ('10.0.0.2', 9092)"),
        record("aiokafka", 'Unable connect to "%s:%s": %s', "10.0.0.3", 9092, "refused"),
    ]  # fmt: skip
    again = [
        record("aiokafka.fetcher", "Failed fetch messages from %s: %s", 2, "Connection closed"),
        record("aiokafka.conn", 'Unable to request metadata from "%s:%s": %s', "10.0.0.2", 9092,
               "[Error 7] RequestTimedOutError"),
        record("aiokafka.sender", "Connection at kafka-1:9092 closed", level=logging.WARNING),
    ]  # fmt: skip
    assert [once.filter(line) for line in down] == [True, True, True]
    assert [once.filter(line) for line in again] == [False, False, False]
    assert once.filter(record("aiokafka.fetcher", "Not authorized to read from topic %s.", "t"))


def test_refused_credentials_are_said_although_the_connection_was_closed_just_before() -> None:
    once = OncePerInterval(interval_s=60)
    closed = "Failed fetch messages from 1: KafkaConnectionError: Connection at 127.0.0.1:9 closed"
    refused = "Unable connect to node with id 1 (127.0.0.1:9): SaslAuthenticationFailed"
    assert once.filter(record("aiokafka", closed))
    assert once.filter(record("aiokafka", refused))
    assert not once.filter(record("aiokafka", closed))
    assert not once.filter(record("aiokafka", refused))


def test_a_line_of_json_has_the_pairs_of_the_message_as_fields() -> None:
    line = record("service.runtime.shard", "shard open partition=%d seconds=%.2f", 3, 0.5)
    found = json.loads(AsJson().format(line))
    assert found["level"] == "error"
    assert found["logger"] == "service.runtime.shard"
    assert found["message"] == "shard open partition=3 seconds=0.50"
    assert (found["partition"], found["seconds"]) == ("3", "0.50")
    assert datetime.fromisoformat(found["time"]).tzinfo is not None


def test_a_pair_cannot_take_the_place_of_a_field_nor_a_line_be_two() -> None:
    line = record("service", "level=fine\nlogger=me")
    text = AsJson().format(line)
    assert "\n" not in text
    assert json.loads(text)["level"] == "error"


def test_a_traceback_is_part_of_its_line() -> None:
    try:
        raise ValueError("x")  # noqa: TRY301, EM101
    except ValueError:
        line = record("service", "it failed")
        line.exc_info = sys.exc_info()
    text = AsJson().format(line)
    assert "\n" not in text
    assert "ValueError: x" in json.loads(text)["traceback"]
