"""The rules of the compatibility gate: what must not change under those who rely on us.

On *our side* (results, commit metadata) we write and others read: nothing may come that they do not
expect. On *their side* (the input) they write and we read: nothing that they send may be refused.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Final, NamedTuple


class Side(Enum):
    """Who writes what a schema describes."""

    WE_WRITE = "results"
    WE_READ = "input"


class Rule(StrEnum):
    """Names of the rules; what each says stands in `SAYS`."""

    FIELD_REMOVED = "field-removed"
    FIELD_RETYPED = "field-retyped"
    FIELD_IN_CLOSED = "field-added-to-closed-object"
    REQUIRED_ADDED = "required-field-added"
    REQUIRED_DROPPED = "required-field-made-optional"
    NULL_ADDED = "null-added"
    NULL_REMOVED = "null-removed"
    ENUM_WIDENED = "enum-widened"
    ENUM_NARROWED = "enum-narrowed"
    LIMIT_WIDENED = "limit-widened"
    LIMIT_NARROWED = "limit-narrowed"
    PATTERN_WIDENED = "pattern-widened"
    PATTERN_NARROWED = "pattern-narrowed"
    OBJECT_OPENED = "object-opened"
    OBJECT_CLOSED = "object-closed"
    ARRAY_LENGTH = "array-length-changed"
    VARIANT_ADDED = "variant-added"
    VARIANT_REMOVED = "variant-removed"
    UNIT_CHANGED = "unit-changed"
    KEYWORD_CHANGED = "keyword-changed"
    EXAMPLE_REFUSED = "example-refused"
    EXAMPLE_UNREADABLE = "example-unreadable"
    TOPIC_REMOVED = "topic-removed"
    TOPIC_RENAMED = "topic-renamed"
    TOPIC_REUSED = "topic-reused"
    DIRECTION_CHANGED = "direction-changed"
    MESSAGE_ADDED = "message-added"
    MESSAGE_REMOVED = "message-removed"
    PARTITIONS_CHANGED = "partitions-changed"
    PARTITIONING_CHANGED = "partitioning-changed"
    CLEANUP_CHANGED = "cleanup-changed"
    RETENTION_SHORTENED = "retention-shortened"
    TIMESTAMPS_CHANGED = "timestamps-changed"
    RECORD_SIZE_CHANGED = "record-size-changed"
    DELIVERY_CHANGED = "delivery-changed"
    RELEASE_CHANGED = "release-changed"


SAYS: Final[dict[Rule, str]] = {
    Rule.FIELD_REMOVED: "a field, once published, stays; in the input, what is sent stays heard",
    Rule.FIELD_RETYPED: "results get no new type; the input loses none",
    Rule.FIELD_IN_CLOSED: "a result object that was published closed gets no field",
    Rule.REQUIRED_ADDED: "the input gets no new required field",
    Rule.REQUIRED_DROPPED: "a field that results always had is always there",
    Rule.NULL_ADDED: "a result field that was never null never is",
    Rule.NULL_REMOVED: "an input field that could be null can be",
    Rule.ENUM_WIDENED: "results get no value that readers cannot know (x-known lists may grow)",
    Rule.ENUM_NARROWED: "a value, once published, stays, with its meaning, on either side",
    Rule.LIMIT_WIDENED: "results stay within the limits that readers were told",
    Rule.LIMIT_NARROWED: "the input takes what it took: no tighter limit",
    Rule.PATTERN_WIDENED: "results keep the pattern that readers were told",
    Rule.PATTERN_NARROWED: "the input takes what it took: no new or other pattern or format",
    Rule.OBJECT_OPENED: "a result object that was published closed stays closed",
    Rule.OBJECT_CLOSED: "the input goes on ignoring unknown fields",
    Rule.ARRAY_LENGTH: "an array of fixed places keeps their number",
    Rule.VARIANT_ADDED: "results get no new alternative",
    Rule.VARIANT_REMOVED: "an alternative, once published, stays",
    Rule.UNIT_CHANGED: "a number keeps its unit",
    Rule.KEYWORD_CHANGED: "a keyword that no rule understands does not change",
    Rule.EXAMPLE_REFUSED: "every input example of the release is still taken",
    Rule.EXAMPLE_UNREADABLE: "every result example of today is readable by the release's schema",
    Rule.TOPIC_REMOVED: "a topic stays",
    Rule.TOPIC_RENAMED: "a topic keeps its default name",
    Rule.TOPIC_REUSED: "a new major version breaks nothing under an old topic name",
    Rule.DIRECTION_CHANGED: "who writes a topic does not change",
    Rule.MESSAGE_ADDED: "a result topic gets no new kind of record",
    Rule.MESSAGE_REMOVED: "a kind of record, once published, stays",
    Rule.PARTITIONS_CHANGED: "the default number of partitions stays: accounts would move",
    Rule.PARTITIONING_CHANGED: "an account keeps its partition",
    Rule.CLEANUP_CHANGED: "a topic keeps its cleanup policy",
    Rule.RETENTION_SHORTENED: "records stay readable for as long as was promised",
    Rule.TIMESTAMPS_CHANGED: "record timestamps keep their meaning",
    Rule.RECORD_SIZE_CHANGED: "the input takes records as large; results get none that are larger",
    Rule.DELIVERY_CHANGED: "a delivery guarantee stays",
    Rule.RELEASE_CHANGED: "a release is not edited",
}


class Break(NamedTuple):
    """A rule that is broken, where, and by what."""

    rule: Rule
    place: str
    what: str

    def __str__(self) -> str:
        """Two lines: the break, and what the rule says."""
        return f"{self.rule}: {self.place}: {self.what}\n    rule: {SAYS[self.rule]}"
