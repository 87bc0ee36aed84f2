"""What the contract says beside the schemas: topics, their records, who must do what.

The one source of `docs/contract/asyncapi.json` and of the page for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Message:
    """One kind of record; `key`, `value`, `headers` name schemas in `service/contract/schemas`."""

    name: str
    title: str
    told_by: str
    key: str
    value: str
    headers: str

    @property
    def parts(self) -> dict[str, str]:
        """Part -> its schema's name."""
        return {"key": self.key, "value": self.value, "headers": self.headers}


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic. `setting`: the field of Settings that names it. `is_input`: others write it."""

    name: str
    setting: str
    title: str
    purpose: str
    messages: tuple[Message, ...]
    must: tuple[str, ...]
    is_input: bool = False


HASHED: Final[dict[str, Any]] = {
    "by": "key",
    "hash": "murmur2",
    "partition": "(murmur2(key) & 0x7fffffff) % partitions",
    "note": (
        "The default of the Java client of Kafka. All producers must use it: librdkafka needs "
        "partitioner=murmur2_random, aiokafka uses it by default. Otherwise one account is split "
        "over two partitions and counted twice."
    ),
}
FOLLOWING: Final[dict[str, Any]] = {
    "by": "the input record's partition",
    "note": "Every topic has as many partitions as the input. An account has the same one in each.",
}
PRODUCED: Final[dict[str, Any]] = {
    "acks": "all",
    "idempotent": True,
    "note": (
        "Producers should use these settings. A retry with the same event_id is harmless: the "
        "second event is a duplicate and changes nothing."
    ),
}
DELIVERED: Final[dict[str, Any]] = {
    "acks": "all",
    "idempotent": True,
    "transactional": True,
    "isolation.level": "read_committed",
    "note": (
        "Rows, window results, late and rejected records and the input position of a partition "
        "move in one transaction. Another isolation level shows records that were never committed. "
        "With NETFOLLOWERS_GUARANTEE=at_least_once there is no transaction, and producers are not "
        "idempotent: results may repeat, with the same content."
    ),
}

COMMITTED: Final = "read with isolation.level=read_committed"
UNKNOWN: Final = "ignore fields, headers and reasons that you do not know: new ones may be added"

CHANNELS: Final = (
    Channel(
        "followEvents",
        "input_topic",
        "Follow events",
        "Events: a follow, an unfollow, or the number of followers that an account had. You write "
        "this topic and the service reads it. No record can stop the service: an invalid record "
        "goes to the rejected topic with a reason.",
        (
            Message(
                "followEvent",
                "Follow event",
                "none of the headers below",
                "account.key",
                "follow-event.value",
                "follow-event.headers",
            ),
            Message(
                "cloudEventBinary",
                "CloudEvent in binary mode",
                "the header ce_specversion",
                "account.key",
                "cloud-event-binary.value",
                "cloud-event-binary.headers",
            ),
            Message(
                "cloudEventStructured",
                "CloudEvent in structured mode",
                "the header content-type: application/cloudevents+json",
                "account.key",
                "cloud-event-structured.value",
                "cloud-event-structured.headers",
            ),
            Message(
                "heartbeat",
                "Heartbeat",
                "the header netfollowers-heartbeat",
                "any.key",
                "heartbeat.value",
                "heartbeat.headers",
            ),
        ),
        (
            "key each event by its account_id in UTF-8, with the partitioner below",
            "give each event a globally unique event_id, and keep it in a retry",
            "send heartbeats if a partition may have no events: time moves only with records",
        ),
        is_input=True,
    ),
    Channel(
        "netFollowerUpdates",
        "updates_topic",
        "The table",
        "One row per account: totals since counting began, and the windows that are still kept. "
        "Each change publishes the whole row again.",
        (
            Message(
                "row",
                "Row of an account",
                "a key and a value",
                "account.key",
                "net-follower-updates.value",
                "no.headers",
            ),
            Message(
                "removal",
                "Removal of an account",
                "a null value",
                "account.key",
                "no.value",
                "no.headers",
            ),
            Message(
                "checkpoint",
                "Checkpoint, at least once only",
                "an empty key",
                "empty.key",
                "checkpoint.value",
                "no.headers",
            ),
        ),
        (
            COMMITTED,
            "keep the last value of each key; a null value removes the key; start at the beginning",
            "skip records with an empty key",
            "expect old windows in a row: they are removed when the account changes next",
            UNKNOWN,
        ),
    ),
    Channel(
        "netFollowerWindows",
        "windows_topic",
        "Final window results",
        "Followers gained and lost per account, for each minute, hour and day of event time. A "
        "result is published when the window is final, and again when a late event changes it "
        "while it is kept.",
        (
            Message(
                "windowResult",
                "Final result of a window",
                "every record",
                "account.key",
                "net-follower-windows.value",
                "no.headers",
            ),
        ),
        (
            COMMITTED,
            "upsert by (account_id, grain, start_ms); keep the highest revision, in any order",
            "treat a missing window as a window without events",
            UNKNOWN,
        ),
    ),
    Channel(
        "followEventsLate",
        "late_topic",
        "Late events",
        "Events that came when one of their windows was no longer kept. They count in the totals "
        "and in the grains whose window is still kept. Use them to correct older windows.",
        (
            Message(
                "lateEvent",
                "Late event",
                "every record",
                "account.key",
                "follow-events-late.value",
                "follow-events-late.headers",
            ),
        ),
        (
            COMMITTED,
            "correct only the grains in the header: the other grains contain the event already",
            UNKNOWN,
        ),
    ),
    Channel(
        "followEventsRejected",
        "rejected_topic",
        "Rejected records",
        "Rejected records with their original bytes (up to a maximum length) and the reason. "
        "Correct a record and send it again: the ids of rejected records are not remembered.",
        (
            Message(
                "rejectedRecord",
                "Rejected record",
                "every record",
                "as-sent.key",
                "as-sent.value",
                "follow-events-rejected.headers",
            ),
        ),
        (COMMITTED, "treat key and value as bytes; they may be null", UNKNOWN),
    ),
)
METADATA: Final = "checkpoint-metadata"
"""Schema of what travels with the committed offset: not a record, but operators read it."""


def written() -> set[str]:
    """Schemas that only the service writes by: they are judged closed."""
    ours = {part for one in CHANNELS for m in one.messages for part in m.parts.values()}
    theirs = {
        part for one in CHANNELS if one.is_input for m in one.messages for part in m.parts.values()
    }
    return (ours - theirs) | {METADATA}
