"""Breaks planted into the released contract, one or more for each rule, and harmless changes.

A row: what is done, where, the change, and the rule and the place that the gate must name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from verify.contract.rules import Rule

Document = dict[str, Any]
Change = Mapping[str, Any] | Callable[[Any], object]
"""The new value of each keyword, or a function of its old value. Or one function of the schema."""

ROW: Final = "net-follower-updates.value"
RESULT: Final = "net-follower-windows.value"
EVENT: Final = "follow-event.value"
LATE: Final = "follow-events-late.headers"
REJECTED: Final = "follow-events-rejected.headers"
METADATA: Final = "checkpoint-metadata"
PLACES: Final = (ROW, "windows", "additionalProperties", "items")
"""The places of a window in a row: nested objects and arrays."""
GONE: Final = object()


class Planted(NamedTuple):
    """An edit of the contract; `rule` and `place`: what the gate must say, None: nothing."""

    what: str
    at: tuple[str | int, ...]
    change: Change
    rule: Rule | None = None
    place: str = ""

    def plant(self, document: Document) -> None:
        target = find(document, *self.at)
        if not isinstance(self.change, Mapping):
            self.change(target)
            return
        for name, value in self.change.items():
            if value is GONE:
                del target[name]
            else:
                target[name] = value(target.get(name)) if callable(value) else value


def find(document: Document, *steps: str | int) -> Any:
    """Go to a part: a schema by its name, or as AsyncAPI has it; then fields, keywords, numbers."""
    found: Any = document
    for step in steps:
        schemas = document["components"]["schemas"]
        if found is document and step in schemas:
            found = schemas[step]["schema"]
        elif isinstance(found, dict) and step in found.get("properties", {}):
            found = found["properties"][step]
        else:
            found = found[step]
    return found


def also(*more: object) -> Callable[[list[object] | None], list[object]]:
    """Make a list longer."""
    return lambda old: [*(old or ()), *more]


def new(**fields: object) -> Callable[[Document], Document]:
    """Add fields, or other names."""
    return lambda old: {**old, **fields}


def without(gone: str) -> Callable[[Any], Any]:
    """Take a name out of a list or of an object."""
    return lambda old: (
        {name: value for name, value in old.items() if name != gone}
        if isinstance(old, dict)
        else [value for value in old or () if value != gone]
    )


def removed(name: str) -> Change:
    """Take a field out of an object's schema altogether."""
    return {"properties": without(name), "required": without(name)}


def key(message: str) -> tuple[str, ...]:
    """Where a message's key is described."""
    return "components", "messages", message, "bindings", "kafka", "key"


def kafka(channel: str) -> tuple[str, ...]:
    """Where a channel's Kafka binding is."""
    return "channels", channel, "bindings", "kafka"


def configured(channel: str) -> tuple[str, ...]:
    """Where the configuration of a channel's topic is."""
    return *kafka(channel), "topicConfiguration"


def new_message(channel: str) -> Change:
    """One more kind of record on a channel."""

    def edit(document: Document) -> None:
        document["components"]["messages"]["other"] = document["components"]["messages"]["row"]
        document["channels"][channel]["messages"]["other"] = {"$ref": "#/components/messages/other"}

    return edit


def in_defs(kind: str) -> Change:
    """A count in results is said by a reference. `kind`: the type that it points at."""

    def edit(document: Document) -> None:
        schema = {"type": kind, "minimum": 0}
        document["components"]["schemas"]["Count"] = {"schema": schema}
        field = find(document, RESULT, "gained")
        del field["type"], field["minimum"]
        field["$ref"] = "#/components/schemas/Count/schema"

    return edit


_INTEGER: Final = {"type": "integer"}
_TEXT: Final = {"type": "string"}
_GRAINS: Final = "netfollowers-grains-missed"
_LATER: Final = {"title": "later", "type": "integer", "minimum": 1_600_000_000_000}
_BLOCK: Final = {"title": "block", "properties": {"action": {"const": "block"}}}

# fmt: off
BREAKS: Final = (
    Planted("a result field is removed", (RESULT,), removed("net"),
            Rule.FIELD_REMOVED, "net-follower-windows windowResult value/net"),
    Planted("a nested result field is removed", (METADATA, "counts"), removed("late"),
            Rule.FIELD_REMOVED, "commit metadata/counts/late"),
    Planted("an input field is not heard any more", (EVENT,), removed("event_id"),
            Rule.FIELD_REMOVED, "follow-events followEvent value/event_id"),
    Planted("a header is renamed", (LATE, "properties"),
            lambda fields: fields.update({"netfollowers-grains": fields.pop(_GRAINS)}),
            Rule.FIELD_REMOVED, f"follow-events-late lateEvent headers/{_GRAINS}"),
    Planted("a result field becomes text", (RESULT, "start_ms"), _TEXT,
            Rule.FIELD_RETYPED, "value/start_ms"),
    Planted("a result integer becomes any number", (RESULT, "net"), {"type": "number"},
            Rule.FIELD_RETYPED, "value/net"),
    Planted("a place deep in an array is retyped", (*PLACES, "prefixItems", 0), _TEXT,
            Rule.FIELD_RETYPED, "row value/windows/*/[]/0"),
    Planted("a result is retyped behind a reference", (), in_defs("string"),
            Rule.FIELD_RETYPED, "value/gained"),
    Planted("an input field takes only integers", (EVENT, "account_id"), _INTEGER,
            Rule.FIELD_RETYPED, "followEvent value/account_id"),
    Planted("a key becomes a number", key("row"), _INTEGER,
            Rule.FIELD_RETYPED, "net-follower-updates row key"),
    Planted("a record without a key is sent", key("windowResult"), {"type": ["string", "null"]},
            Rule.NULL_ADDED, "windowResult key"),
    Planted("the input needs a new field", (EVENT,),
            {"properties": new(source=_TEXT), "required": also("source")},
            Rule.REQUIRED_ADDED, "followEvent value/source"),
    Planted("one alternative of the input needs a new field", (EVENT, "oneOf", 1),
            {"required": also("since")}, Rule.REQUIRED_ADDED, "value/(baseline)/since"),
    Planted("a result field is left out at times", (ROW,), {"required": without("last_event_ms")},
            Rule.REQUIRED_DROPPED, "row value/last_event_ms"),
    Planted("a total may be null", (ROW, "gained"), {"type": ["integer", "null"]},
            Rule.NULL_ADDED, "row value/gained"),
    Planted("a heartbeat's key must be there", key("heartbeat"), _TEXT,
            Rule.NULL_REMOVED, "heartbeat key"),
    Planted("a header gets a third value", (REJECTED, "netfollowers-truncated"),
            {"enum": also("maybe")}, Rule.ENUM_WIDENED, "headers/netfollowers-truncated"),
    Planted("a header gets any value", (REJECTED, "netfollowers-version"), {"const": GONE},
            Rule.FIELD_RETYPED, "headers/netfollowers-version"),
    Planted("a closed list of results is opened", (REJECTED, "netfollowers-truncated"),
            {"enum": GONE, **_TEXT}, Rule.ENUM_WIDENED, "headers/netfollowers-truncated"),
    Planted("another metadata version under the old name", (METADATA, "v"), {"const": 2},
            Rule.ENUM_WIDENED, "commit metadata/v"),
    Planted("an action is not taken any more", (EVENT, "action"), {"enum": without("unfollow")},
            Rule.ENUM_NARROWED, "followEvent value/action"),
    Planted("an alternative of the input takes fewer values", (EVENT, "oneOf", 0, "action"),
            {"enum": without("unfollow")},
            Rule.ENUM_NARROWED, "value/(follow or unfollow)/action"),
    Planted("a reason is renamed", (REJECTED, "netfollowers-reason"),
            {"x-known": lambda old: ["no_value", *old[1:]]},
            Rule.ENUM_NARROWED, "headers/netfollowers-reason"),
    Planted("a result is less than nothing", (RESULT, "gained"), {"minimum": -1},
            Rule.LIMIT_WIDENED, "value/gained"),
    Planted("an account id in results is longer", (ROW, "account_id"), {"maxLength": 512},
            Rule.LIMIT_WIDENED, "row value/account_id"),
    Planted("an account id in the input is shorter", (EVENT, "account_id"), {"maxLength": 128},
            Rule.LIMIT_NARROWED, "followEvent value/account_id"),
    Planted("a key of the input is shorter", key("followEvent"), {"maxLength": 128},
            Rule.LIMIT_NARROWED, "followEvent key"),
    Planted("a baseline takes less", (EVENT, "oneOf", 1, "followers"), {"maximum": 10**9},
            Rule.LIMIT_NARROWED, "value/(baseline)/followers"),
    Planted("a grain in results is named otherwise", (RESULT, "grain"),
            {"pattern": "^[0-9]+ (minutes|hours|days)$"}, Rule.PATTERN_WIDENED, "value/grain"),
    Planted("names of grains in a row follow no pattern", (ROW, "windows", "propertyNames"),
            {"pattern": GONE}, Rule.PATTERN_WIDENED, "row value/windows/{names}"),
    Planted("ids of the input must be UUIDs", (EVENT, "event_id"),
            {"pattern": "^[0-9a-f-]{36}$"}, Rule.PATTERN_NARROWED, "followEvent value/event_id"),
    Planted("a time of the input has a format", (EVENT, "occurred_at", "oneOf", 1),
            {"format": "date"}, Rule.PATTERN_NARROWED, "followEvent value/occurred_at/(string)"),
    Planted("the input refuses unknown fields", (EVENT,), {"additionalProperties": False},
            Rule.OBJECT_CLOSED, "followEvent value"),
    Planted("the input refuses unknown headers", ("heartbeat.headers",),
            {"additionalProperties": False}, Rule.OBJECT_CLOSED, "heartbeat headers"),
    Planted("a window in a row gets a fifth place", PLACES, {"prefixItems": also(_INTEGER)},
            Rule.ARRAY_LENGTH, "row value/windows/*/[]"),
    Planted("a time of the input is only an integer", (EVENT, "occurred_at", "oneOf"),
            lambda variants: variants.pop(1),
            Rule.VARIANT_REMOVED, "followEvent value/occurred_at/(string)"),
    Planted("there are no baselines any more", (EVENT, "oneOf"),
            lambda variants: variants.pop(1),
            Rule.VARIANT_REMOVED, "followEvent value/(baseline)"),
    Planted("a result counts seconds", (RESULT, "start_ms"), {"x-unit": "s since 1970, UTC"},
            Rule.UNIT_CHANGED, "value/start_ms"),
    Planted("a keyword that no rule knows", (RESULT, "net"), {"multipleOf": 2},
            Rule.KEYWORD_CHANGED, "value/net"),
    Planted("alternatives are gone", (EVENT,), {"oneOf": GONE},
            Rule.KEYWORD_CHANGED, "followEvent value"),
    Planted("alternatives that look wider, but exclude what was taken", (EVENT, "occurred_at"),
            {"oneOf": also(_LATER)}, Rule.EXAMPLE_REFUSED, "followEvent value example 0"),
    Planted("a topic is gone", (), {"channels": without("followEventsLate"),
                                    "operations": without("publishFollowEventsLate")},
            Rule.TOPIC_REMOVED, "follow-events-late"),
    Planted("a topic has another name", ("channels", "netFollowerWindows"),
            {"address": "windows"}, Rule.TOPIC_RENAMED, "net-follower-windows"),
    Planted("others are to write a result topic", ("operations", "publishFollowEventsLate"),
            {"action": "receive"}, Rule.DIRECTION_CHANGED, "follow-events-late"),
    Planted("another kind of record on a result topic", (), new_message("netFollowerWindows"),
            Rule.MESSAGE_ADDED, "net-follower-windows other"),
    Planted("heartbeats are not taken any more", ("channels", "followEvents", "messages"),
            {"heartbeat": GONE}, Rule.MESSAGE_REMOVED, "follow-events heartbeat"),
    Planted("more partitions by default", kafka("followEvents"), {"partitions": 8},
            Rule.PARTITIONS_CHANGED, "follow-events"),
    Planted("another hash chooses the partition", ("channels", "followEvents", "x-partitioning"),
            {"hash": "crc32"}, Rule.PARTITIONING_CHANGED, "follow-events"),
    Planted("the table is not compacted", configured("netFollowerUpdates"),
            {"cleanup.policy": ["delete"], "retention.ms": 86_400_000},
            Rule.CLEANUP_CHANGED, "net-follower-updates"),
    Planted("results are kept for a week", configured("netFollowerWindows"),
            {"retention.ms": 604_800_000}, Rule.RETENTION_SHORTENED, "net-follower-windows"),
    Planted("timestamps are the producer's", configured("followEvents"),
            {"message.timestamp.type": "CreateTime"}, Rule.TIMESTAMPS_CHANGED, "follow-events"),
    Planted("the input takes smaller records", configured("followEvents"),
            {"max.message.bytes": 100_000}, Rule.RECORD_SIZE_CHANGED, "follow-events"),
    Planted("results are not transactional", ("channels", "netFollowerWindows", "x-delivery"),
            {"transactional": False}, Rule.DELIVERY_CHANGED, "net-follower-windows"),
)

HARMLESS: Final = (
    Planted("nothing", (), {}),
    Planted("a new optional result field", (ROW, "properties"), {"since_ms": _INTEGER}),
    Planted("a new result field that is always there", (ROW,),
            {"properties": new(since_ms=_INTEGER), "required": also("since_ms")}),
    Planted("a new optional field of the commit metadata", (METADATA, "properties"),
            {"lives": _INTEGER}),
    Planted("a new header", (LATE, "properties"), {"netfollowers-version": {"const": "1"}}),
    Planted("a new optional input field", (EVENT, "properties"), {"source": _TEXT}),
    Planted("an input field that is not required any more", (EVENT,),
            {"required": without("occurred_at")}),
    Planted("one more action", (EVENT,), lambda event: (
        event["properties"]["action"]["enum"].append("block"), event["oneOf"].append(_BLOCK))),
    Planted("one more kind of input record", (), new_message("followEvents")),
    Planted("a longer id in the input", (EVENT, "account_id"), {"maxLength": 512}),
    Planted("a tighter limit in results", (RESULT, "account_id"), {"maxLength": 128}),
    Planted("one more reason, of a list that may grow", (REJECTED, "netfollowers-reason"),
            {"x-known": also("bad_signature")}),
    Planted("a result that was null at times never is", (METADATA, "watermark_ms"), _INTEGER),
    Planted("longer retention", configured("followEvents"), {"retention.ms": -1}),
    Planted("more copies", kafka("followEvents"), {"replicas": 3}),
    Planted("other words of a schema", (ROW,), {"description": "A row.", "title": "Row"}),
    Planted("other words of a channel", ("channels", "followEvents"), {"description": "Events."}),
    Planted("the same said with a reference", (), in_defs("integer")),
)
# fmt: on
