"""The one list of the topics: names, broker settings, rights, records, and duties of clients.

Everything about a topic follows from its entry: the setting that names it, its creation and the
checks at every start, the rights that a worker needs, the kinds of the audit, the AsyncAPI
document, and the names in tests, benchmarks and the demo. A new result topic is an entry in
`RESULTS`, a field in `TopicNames`, and one in `ResultTopics` for the engine that fills it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from service.contract.results import ResultTopics

_DAY_MS: Final = 86_400_000
_COMMITTED: Final = "read with isolation.level=read_committed"
_UNKNOWN: Final = "ignore fields, headers and reasons that you do not know: new ones may be added"


@dataclass(frozen=True, slots=True)
class RecordKind:
    """One kind of record. `key`, `value`, `headers`: schemas in `service/contract/schemas`.

    `name`: of the message in the AsyncAPI document. `recognised_by`: how it differs from other
    kinds.
    """

    name: str
    title: str
    recognised_by: str
    key: str
    value: str
    headers: str

    @property
    def parts(self) -> dict[str, str]:
        """Return the schema name of each part."""
        return {"key": self.key, "value": self.value, "headers": self.headers}


@dataclass(frozen=True, slots=True)
class FromSetting:
    """A broker setting: the value of one of the settings times `factor`, as a whole number."""

    name: str
    factor: int = 1

    def of(self, settings: object) -> str:
        """Return the value in the form of the broker."""
        return str(round(getattr(settings, self.name) * self.factor))


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `role`: its name in the code and in the audit.

    `meaning`: of the setting that names it. `rights`: what a worker must be allowed to do.
    `channel`, `title`, `purpose`: of the AsyncAPI document. `must`: the duties of programs that
    write it (input) or read it (results).
    """

    role: str
    default_name: str
    meaning: str
    broker_settings: Mapping[str, str | FromSetting]
    rights: tuple[str, ...]
    channel: str
    title: str
    purpose: str
    records: tuple[RecordKind, ...]
    must: tuple[str, ...]

    @property
    def setting(self) -> str:
        """The field of the settings that names it."""
        return f"{self.role}_topic"

    def configuration(self, settings: object) -> dict[str, str]:
        """Return the broker settings that `topics create` sets and that the checks expect."""
        return {
            name: value.of(settings) if isinstance(value, FromSetting) else value
            for name, value in self.broker_settings.items()
        }

    @property
    def is_input(self) -> bool:
        """True for the topic that producers write and the service reads."""
        return self is INPUT


def _deleted_after(retention_days: str) -> dict[str, str | FromSetting]:
    """Return broker settings that keep records for the days of a setting."""
    return {
        "min.insync.replicas": FromSetting("min_isr"),
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": FromSetting(retention_days, _DAY_MS),
        "max.message.bytes": "1048588",
    }


_RESULTS_KEPT: Final = _deleted_after("results_retention_days")

INPUT: Final = Topic(
    role="input",
    default_name="follow-events",
    meaning="topic of the follow events",
    broker_settings=_deleted_after("input_retention_days"),
    rights=("READ",),
    channel="followEvents",
    title="Follow events",
    purpose=(
        "Events: a follow, an unfollow, or the number of followers that an account had. You write "
        "this topic and the service reads it. No record can stop the service: an invalid record "
        "goes to the rejected topic with a reason."
    ),
    records=(
        RecordKind(
            "followEvent",
            "Follow event",
            "none of the headers below",
            "account.key",
            "follow-event.value",
            "follow-event.headers",
        ),
        RecordKind(
            "cloudEventBinary",
            "CloudEvent in binary mode",
            "the header ce_specversion",
            "account.key",
            "cloud-event-binary.value",
            "cloud-event-binary.headers",
        ),
        RecordKind(
            "cloudEventStructured",
            "CloudEvent in structured mode",
            "the header content-type: application/cloudevents+json",
            "account.key",
            "cloud-event-structured.value",
            "cloud-event-structured.headers",
        ),
        RecordKind(
            "heartbeat",
            "Heartbeat",
            "the header netfollowers-heartbeat",
            "any.key",
            "heartbeat.value",
            "heartbeat.headers",
        ),
    ),
    must=(
        "key each event by its account_id in UTF-8, with the partitioner below",
        "give each event a globally unique event_id, and keep it in a retry",
        "send heartbeats if a partition may have no events: time moves only with records",
    ),
)

UPDATES: Final = Topic(
    role="updates",
    default_name="net-follower-updates",
    meaning="topic of the table: compacted, one row per account",
    broker_settings={
        "min.insync.replicas": FromSetting("min_isr"),
        "cleanup.policy": "compact",
        "segment.bytes": "67108864",
        "min.cleanable.dirty.ratio": "0.1",
        "max.message.bytes": "1048588",
    },
    rights=("READ", "WRITE"),
    channel="netFollowerUpdates",
    title="The table",
    purpose=(
        "One row per account: totals since counting began, and the windows that are still kept. "
        "Each change publishes the whole row again."
    ),
    records=(
        RecordKind(
            "row",
            "Row of an account",
            "a key and a value",
            "account.key",
            "net-follower-updates.value",
            "no.headers",
        ),
        RecordKind(
            "removal",
            "Removal of an account",
            "a null value",
            "account.key",
            "no.value",
            "no.headers",
        ),
        RecordKind(
            "checkpoint",
            "Checkpoint, at least once only",
            "an empty key",
            "empty.key",
            "checkpoint.value",
            "no.headers",
        ),
    ),
    must=(
        _COMMITTED,
        "keep the last value of each key; a null value removes the key; start at the beginning",
        "skip records with an empty key",
        "expect old windows in a row: they are removed when the account changes next",
        _UNKNOWN,
    ),
)

WINDOWS: Final = Topic(
    role="windows",
    default_name="net-follower-windows",
    meaning="topic of the final window results and their revisions",
    broker_settings=_RESULTS_KEPT,
    rights=("WRITE",),
    channel="netFollowerWindows",
    title="Final window results",
    purpose=(
        "Followers gained and lost per account, for each minute, hour and day of event time. A "
        "result is published when the window is final, and again when a late event changes it "
        "while it is kept."
    ),
    records=(
        RecordKind(
            "windowResult",
            "Final result of a window",
            "every record",
            "account.key",
            "net-follower-windows.value",
            "no.headers",
        ),
    ),
    must=(
        _COMMITTED,
        "upsert by (account_id, grain, start_ms); keep the highest revision, in any order",
        "treat a missing window as a window without events",
        _UNKNOWN,
    ),
)

LATE: Final = Topic(
    role="late",
    default_name="follow-events-late",
    meaning="topic of the events that came too late for a window",
    broker_settings=_RESULTS_KEPT,
    rights=("WRITE",),
    channel="followEventsLate",
    title="Late events",
    purpose=(
        "Events that came when one of their windows was no longer kept. They count in the totals "
        "and in the grains whose window is still kept. Use them to correct older windows."
    ),
    records=(
        RecordKind(
            "lateEvent",
            "Late event",
            "every record",
            "account.key",
            "follow-events-late.value",
            "follow-events-late.headers",
        ),
    ),
    must=(
        _COMMITTED,
        "correct only the grains in the header: the other grains contain the event already",
        _UNKNOWN,
    ),
)

REJECTED: Final = Topic(
    role="rejected",
    default_name="follow-events-rejected",
    meaning="topic of the records that are not valid events",
    broker_settings=_RESULTS_KEPT,
    rights=("WRITE",),
    channel="followEventsRejected",
    title="Rejected records",
    purpose=(
        "Rejected records with their original bytes (up to a maximum length) and the reason. "
        "Correct a record and send it again: the ids of rejected records are not remembered."
    ),
    records=(
        RecordKind(
            "rejectedRecord",
            "Rejected record",
            "every record",
            "as-sent.key",
            "as-sent.value",
            "follow-events-rejected.headers",
        ),
    ),
    must=(_COMMITTED, "treat key and value as bytes; they may be null", _UNKNOWN),
)

RESULTS: Final = (UPDATES, WINDOWS, LATE, REJECTED)
"""The topics that the service writes, in the order of a checkpoint's outputs."""
TOPICS: Final = (INPUT, *RESULTS)


@dataclass(frozen=True)
class TopicNames:
    """The names of a deployment's topics. The settings inherit these fields."""

    input_topic: str = INPUT.default_name
    updates_topic: str = UPDATES.default_name
    windows_topic: str = WINDOWS.default_name
    late_topic: str = LATE.default_name
    rejected_topic: str = REJECTED.default_name

    def topic(self, one: Topic) -> str:
        """Return the name of one topic in this deployment."""
        name: str = getattr(self, one.setting)
        return name

    @property
    def topic_names(self) -> dict[str, str]:
        """Return the name of each role, in the order of `TOPICS`."""
        return {one.role: self.topic(one) for one in TOPICS}

    @property
    def result_topics(self) -> ResultTopics:
        """Return the name of each result topic, by role."""
        return ResultTopics(**{one.role: self.topic(one) for one in RESULTS})
