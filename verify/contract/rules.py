"""The rules of the compatibility gate: what must not change for the clients of the service.

On *our side* (results, commit metadata) the service writes and clients read. Nothing may come that
they do not expect. On *their side* (the input) clients write and the service reads. Nothing that
they send may be refused.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Final, NamedTuple


class Side(Enum):
    """The side that writes what a schema describes."""

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
    Rule.FIELD_REMOVED: "a published field stays; the input still reads every field that it read",
    Rule.FIELD_RETYPED: "a result field gets no new type; an input field loses no type",
    Rule.FIELD_IN_CLOSED: "a result object that was published closed gets no field",
    Rule.REQUIRED_ADDED: "the input gets no new required field",
    Rule.REQUIRED_DROPPED: "a field that results always had stays required",
    Rule.NULL_ADDED: "a result field that was never null does not become null",
    Rule.NULL_REMOVED: "an input field that could be null still can be",
    Rule.ENUM_WIDENED: "results get no value that readers do not know (x-known lists may grow)",
    Rule.ENUM_NARROWED: "a published value stays and keeps its meaning, in input and results",
    Rule.LIMIT_WIDENED: "results stay within the published limits",
    Rule.LIMIT_NARROWED: "the input gets no tighter limit",
    Rule.PATTERN_WIDENED: "results keep the published pattern",
    Rule.PATTERN_NARROWED: "the input gets no new or other pattern or format",
    Rule.OBJECT_OPENED: "a result object that was published closed stays closed",
    Rule.OBJECT_CLOSED: "the input still ignores unknown fields",
    Rule.ARRAY_LENGTH: "an array of fixed places keeps their number",
    Rule.VARIANT_ADDED: "results get no new alternative",
    Rule.VARIANT_REMOVED: "a published alternative stays",
    Rule.UNIT_CHANGED: "a number keeps its unit",
    Rule.KEYWORD_CHANGED: "a keyword that no rule understands does not change",
    Rule.EXAMPLE_REFUSED: "every input example of the release is still accepted",
    Rule.EXAMPLE_UNREADABLE: "the schema of the release can read every result example of today",
    Rule.TOPIC_REMOVED: "a topic stays",
    Rule.TOPIC_RENAMED: "a topic keeps its default name",
    Rule.TOPIC_REUSED: "a new major version breaks nothing under an old topic name",
    Rule.DIRECTION_CHANGED: "the side that writes a topic does not change",
    Rule.MESSAGE_ADDED: "a result topic gets no new kind of record",
    Rule.MESSAGE_REMOVED: "a published kind of record stays",
    Rule.PARTITIONS_CHANGED: "the default number of partitions stays: accounts would move",
    Rule.PARTITIONING_CHANGED: "an account keeps its partition",
    Rule.CLEANUP_CHANGED: "a topic keeps its cleanup policy",
    Rule.RETENTION_SHORTENED: "records stay readable at least as long as before",
    Rule.TIMESTAMPS_CHANGED: "record timestamps keep their meaning",
    Rule.RECORD_SIZE_CHANGED: "the input accepts as large records as before; results get no larger",
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
