"""Breaks planted into the released contract, one or more for each rule, and harmless changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tests.contract.rules import Rule

Document = dict[str, Any]
Edit = Callable[[Document], object]

ROW: Final = "net-follower-updates.value"
RESULT: Final = "net-follower-windows.value"
EVENT: Final = "follow-event.value"
LATE: Final = "follow-events-late.headers"
REJECTED: Final = "follow-events-rejected.headers"
METADATA: Final = "checkpoint-metadata"


class Planted(NamedTuple):
    """An edit of the contract; `rule` and `place`: what the gate must say, None: nothing."""

    what: str
    edit: Edit
    rule: Rule | None = None
    place: str = ""


def fields(document: Document, name: str) -> dict[str, Any]:
    """Properties of a schema."""
    found: dict[str, Any] = schema(document, name)["properties"]
    return found


def schema(document: Document, name: str) -> dict[str, Any]:
    """A schema in the document."""
    found: dict[str, Any] = document["components"]["schemas"][name]["schema"]
    return found


def kafka(document: Document, channel: str) -> dict[str, Any]:
    """A channel's Kafka binding."""
    found: dict[str, Any] = document["channels"][channel]["bindings"]["kafka"]
    return found


def places(document: Document) -> list[Any]:
    """The places of a window in a row: nested objects and arrays."""
    found: list[Any] = fields(document, ROW)["windows"]["additionalProperties"]["items"][
        "prefixItems"
    ]
    return found


def drop(holder: dict[str, Any], name: str) -> None:
    """Take a field out of an object's schema altogether."""
    del holder["properties"][name]
    if name in holder.get("required", ()):
        holder["required"].remove(name)


def key_of(document: Document, message: str) -> dict[str, Any]:
    """Schema of a message's key."""
    found: dict[str, Any] = document["components"]["messages"][message]["bindings"]["kafka"]["key"]
    return found


def new_message(document: Document, channel: str) -> None:
    """One more kind of record on a channel."""
    document["components"]["messages"]["other"] = document["components"]["messages"]["row"]
    document["channels"][channel]["messages"]["other"] = {"$ref": "#/components/messages/other"}


def moved_into_defs(document: Document) -> None:
    """The same schema said with a reference: nothing changes for anybody."""
    document["components"]["schemas"]["Count"] = {"schema": {"type": "integer", "minimum": 0}}
    field = fields(document, RESULT)["gained"]
    del field["type"], field["minimum"]
    field["$ref"] = "#/components/schemas/Count/schema"


def retyped_in_defs(document: Document) -> None:
    """A reference to something else."""
    moved_into_defs(document)
    document["components"]["schemas"]["Count"]["schema"]["type"] = "string"


BREAKS: Final = (
    Planted(
        "a result field is removed",
        lambda d: drop(schema(d, RESULT), "net"),
        Rule.FIELD_REMOVED,
        "net-follower-windows windowResult value/net",
    ),
    Planted(
        "a nested result field is removed",
        lambda d: drop(fields(d, METADATA)["counts"], "late"),
        Rule.FIELD_REMOVED,
        "commit metadata/counts/late",
    ),
    Planted(
        "an input field is not heard any more",
        lambda d: drop(schema(d, EVENT), "event_id"),
        Rule.FIELD_REMOVED,
        "follow-events followEvent value/event_id",
    ),
    Planted(
        "a header is renamed",
        lambda d: fields(d, LATE).update(
            {"netfollowers-grains": fields(d, LATE).pop("netfollowers-grains-missed")}
        ),
        Rule.FIELD_REMOVED,
        "follow-events-late lateEvent headers/netfollowers-grains-missed",
    ),
    Planted(
        "a result field becomes text",
        lambda d: fields(d, RESULT)["start_ms"].update(type="string"),
        Rule.FIELD_RETYPED,
        "value/start_ms",
    ),
    Planted(
        "a result integer becomes any number",
        lambda d: fields(d, RESULT)["net"].update(type="number"),
        Rule.FIELD_RETYPED,
        "value/net",
    ),
    Planted(
        "a place deep in an array is retyped",
        lambda d: places(d)[0].update(type="string"),
        Rule.FIELD_RETYPED,
        "row value/windows/*/[]/0",
    ),
    Planted(
        "a result is retyped behind a reference",
        retyped_in_defs,
        Rule.FIELD_RETYPED,
        "value/gained",
    ),
    Planted(
        "an input field takes only integers",
        lambda d: fields(d, EVENT)["account_id"].update(type="integer"),
        Rule.FIELD_RETYPED,
        "followEvent value/account_id",
    ),
    Planted(
        "a key becomes a number",
        lambda d: key_of(d, "row").update(type="integer"),
        Rule.FIELD_RETYPED,
        "net-follower-updates row key",
    ),
    Planted(
        "a record without a key is sent",
        lambda d: key_of(d, "windowResult").update(type=["string", "null"]),
        Rule.NULL_ADDED,
        "windowResult key",
    ),
    Planted(
        "the input needs a new field",
        lambda d: (
            fields(d, EVENT).update(source={"type": "string"}),
            schema(d, EVENT)["required"].append("source"),
        ),
        Rule.REQUIRED_ADDED,
        "followEvent value/source",
    ),
    Planted(
        "one alternative of the input needs a new field",
        lambda d: schema(d, EVENT)["oneOf"][1]["required"].append("since"),
        Rule.REQUIRED_ADDED,
        "value/(baseline)/since",
    ),
    Planted(
        "a result field is left out at times",
        lambda d: schema(d, ROW)["required"].remove("last_event_ms"),
        Rule.REQUIRED_DROPPED,
        "row value/last_event_ms",
    ),
    Planted(
        "a total may be null",
        lambda d: fields(d, ROW)["gained"].update(type=["integer", "null"]),
        Rule.NULL_ADDED,
        "row value/gained",
    ),
    Planted(
        "a heartbeat's key must be there",
        lambda d: key_of(d, "heartbeat").update(type="string"),
        Rule.NULL_REMOVED,
        "heartbeat key",
    ),
    Planted(
        "a header gets a third value",
        lambda d: fields(d, REJECTED)["netfollowers-truncated"]["enum"].append("maybe"),
        Rule.ENUM_WIDENED,
        "headers/netfollowers-truncated",
    ),
    Planted(
        "a header gets any value",
        lambda d: fields(d, REJECTED)["netfollowers-version"].pop("const"),
        Rule.FIELD_RETYPED,
        "headers/netfollowers-version",
    ),
    Planted(
        "a closed list of results is opened",
        lambda d: (
            fields(d, REJECTED)["netfollowers-truncated"].pop("enum"),
            fields(d, REJECTED)["netfollowers-truncated"].update(type="string"),
        ),
        Rule.ENUM_WIDENED,
        "headers/netfollowers-truncated",
    ),
    Planted(
        "another metadata version under the old name",
        lambda d: fields(d, METADATA)["v"].update(const=2),
        Rule.ENUM_WIDENED,
        "commit metadata/v",
    ),
    Planted(
        "an action is not taken any more",
        lambda d: fields(d, EVENT)["action"]["enum"].remove("unfollow"),
        Rule.ENUM_NARROWED,
        "followEvent value/action",
    ),
    Planted(
        "an alternative of the input takes fewer values",
        lambda d: schema(d, EVENT)["oneOf"][0]["properties"]["action"]["enum"].remove("unfollow"),
        Rule.ENUM_NARROWED,
        "value/(follow or unfollow)/action",
    ),
    Planted(
        "a reason is renamed",
        lambda d: fields(d, REJECTED)["netfollowers-reason"]["x-known"].__setitem__(0, "no_value"),
        Rule.ENUM_NARROWED,
        "headers/netfollowers-reason",
    ),
    Planted(
        "a result is less than nothing",
        lambda d: fields(d, RESULT)["gained"].update(minimum=-1),
        Rule.LIMIT_WIDENED,
        "value/gained",
    ),
    Planted(
        "an account id in results is longer",
        lambda d: fields(d, ROW)["account_id"].update(maxLength=512),
        Rule.LIMIT_WIDENED,
        "row value/account_id",
    ),
    Planted(
        "an account id in the input is shorter",
        lambda d: fields(d, EVENT)["account_id"].update(maxLength=128),
        Rule.LIMIT_NARROWED,
        "followEvent value/account_id",
    ),
    Planted(
        "a key of the input is shorter",
        lambda d: key_of(d, "followEvent").update(maxLength=128),
        Rule.LIMIT_NARROWED,
        "followEvent key",
    ),
    Planted(
        "a baseline takes less",
        lambda d: schema(d, EVENT)["oneOf"][1]["properties"]["followers"].update(maximum=10**9),
        Rule.LIMIT_NARROWED,
        "value/(baseline)/followers",
    ),
    Planted(
        "a grain in results is named otherwise",
        lambda d: fields(d, RESULT)["grain"].update(pattern="^[0-9]+ (minutes|hours|days)$"),
        Rule.PATTERN_WIDENED,
        "value/grain",
    ),
    Planted(
        "names of grains in a row follow no pattern",
        lambda d: fields(d, ROW)["windows"]["propertyNames"].pop("pattern"),
        Rule.PATTERN_WIDENED,
        "row value/windows/{names}",
    ),
    Planted(
        "ids of the input must be UUIDs",
        lambda d: fields(d, EVENT)["event_id"].update(pattern="^[0-9a-f-]{36}$"),
        Rule.PATTERN_NARROWED,
        "followEvent value/event_id",
    ),
    Planted(
        "a time of the input has a format",
        lambda d: fields(d, EVENT)["occurred_at"]["oneOf"][1].update(format="date"),
        Rule.PATTERN_NARROWED,
        "followEvent value/occurred_at/(string)",
    ),
    Planted(
        "the input refuses unknown fields",
        lambda d: schema(d, EVENT).update(additionalProperties=False),
        Rule.OBJECT_CLOSED,
        "followEvent value",
    ),
    Planted(
        "the input refuses unknown headers",
        lambda d: schema(d, "heartbeat.headers").update(additionalProperties=False),
        Rule.OBJECT_CLOSED,
        "heartbeat headers",
    ),
    Planted(
        "a window in a row gets a fifth place",
        lambda d: places(d).append({"type": "integer"}),
        Rule.ARRAY_LENGTH,
        "row value/windows/*/[]",
    ),
    Planted(
        "a time of the input is only an integer",
        lambda d: fields(d, EVENT)["occurred_at"]["oneOf"].pop(1),
        Rule.VARIANT_REMOVED,
        "followEvent value/occurred_at/(string)",
    ),
    Planted(
        "there are no baselines any more",
        lambda d: schema(d, EVENT)["oneOf"].pop(1),
        Rule.VARIANT_REMOVED,
        "followEvent value/(baseline)",
    ),
    Planted(
        "a result counts seconds",
        lambda d: fields(d, RESULT)["start_ms"].update({"x-unit": "s since 1970, UTC"}),
        Rule.UNIT_CHANGED,
        "value/start_ms",
    ),
    Planted(
        "a keyword that no rule knows",
        lambda d: fields(d, RESULT)["net"].update(multipleOf=2),
        Rule.KEYWORD_CHANGED,
        "value/net",
    ),
    Planted(
        "alternatives are gone",
        lambda d: schema(d, EVENT).pop("oneOf"),
        Rule.KEYWORD_CHANGED,
        "followEvent value",
    ),
    Planted(
        "alternatives that look wider, but exclude what was taken",
        lambda d: fields(d, EVENT)["occurred_at"]["oneOf"].append(
            {"title": "later", "type": "integer", "minimum": 1_600_000_000_000}
        ),
        Rule.EXAMPLE_REFUSED,
        "followEvent value example 0",
    ),
    Planted(
        "a topic is gone",
        lambda d: (
            d["channels"].pop("followEventsLate"),
            d["operations"].pop("publishFollowEventsLate"),
        ),
        Rule.TOPIC_REMOVED,
        "follow-events-late",
    ),
    Planted(
        "a topic has another name",
        lambda d: d["channels"]["netFollowerWindows"].update(address="windows"),
        Rule.TOPIC_RENAMED,
        "net-follower-windows",
    ),
    Planted(
        "others are to write a result topic",
        lambda d: d["operations"]["publishFollowEventsLate"].update(action="receive"),
        Rule.DIRECTION_CHANGED,
        "follow-events-late",
    ),
    Planted(
        "another kind of record on a result topic",
        lambda d: new_message(d, "netFollowerWindows"),
        Rule.MESSAGE_ADDED,
        "net-follower-windows other",
    ),
    Planted(
        "heartbeats are not taken any more",
        lambda d: d["channels"]["followEvents"]["messages"].pop("heartbeat"),
        Rule.MESSAGE_REMOVED,
        "follow-events heartbeat",
    ),
    Planted(
        "more partitions by default",
        lambda d: kafka(d, "followEvents").update(partitions=8),
        Rule.PARTITIONS_CHANGED,
        "follow-events",
    ),
    Planted(
        "another hash chooses the partition",
        lambda d: d["channels"]["followEvents"]["x-partitioning"].update(hash="crc32"),
        Rule.PARTITIONING_CHANGED,
        "follow-events",
    ),
    Planted(
        "the table is not compacted",
        lambda d: kafka(d, "netFollowerUpdates")["topicConfiguration"].update(
            {"cleanup.policy": ["delete"], "retention.ms": 86_400_000}
        ),
        Rule.CLEANUP_CHANGED,
        "net-follower-updates",
    ),
    Planted(
        "results are kept for a week",
        lambda d: kafka(d, "netFollowerWindows")["topicConfiguration"].update(
            {"retention.ms": 604_800_000}
        ),
        Rule.RETENTION_SHORTENED,
        "net-follower-windows",
    ),
    Planted(
        "timestamps are the producer's",
        lambda d: kafka(d, "followEvents")["topicConfiguration"].update(
            {"message.timestamp.type": "CreateTime"}
        ),
        Rule.TIMESTAMPS_CHANGED,
        "follow-events",
    ),
    Planted(
        "the input takes smaller records",
        lambda d: kafka(d, "followEvents")["topicConfiguration"].update(
            {"max.message.bytes": 100_000}
        ),
        Rule.RECORD_SIZE_CHANGED,
        "follow-events",
    ),
    Planted(
        "results are not transactional",
        lambda d: d["channels"]["netFollowerWindows"]["x-delivery"].update(transactional=False),
        Rule.DELIVERY_CHANGED,
        "net-follower-windows",
    ),
)

HARMLESS: Final = (
    Planted("nothing", lambda _: None),
    Planted(
        "a new optional result field",
        lambda d: fields(d, ROW).update(since_ms={"type": "integer"}),
    ),
    Planted(
        "a new result field that is always there",
        lambda d: (
            fields(d, ROW).update(since_ms={"type": "integer"}),
            schema(d, ROW)["required"].append("since_ms"),
        ),
    ),
    Planted(
        "a new optional field of the commit metadata",
        lambda d: fields(d, METADATA).update(lives={"type": "integer"}),
    ),
    Planted(
        "a new header",
        lambda d: fields(d, LATE).update({"netfollowers-version": {"const": "1"}}),
    ),
    Planted(
        "a new optional input field",
        lambda d: fields(d, EVENT).update(source={"type": "string"}),
    ),
    Planted(
        "an input field that is not required any more",
        lambda d: schema(d, EVENT)["required"].remove("occurred_at"),
    ),
    Planted(
        "one more action",
        lambda d: (
            fields(d, EVENT)["action"]["enum"].append("block"),
            schema(d, EVENT)["oneOf"].append(
                {"title": "block", "properties": {"action": {"const": "block"}}}
            ),
        ),
    ),
    Planted("one more kind of input record", lambda d: new_message(d, "followEvents")),
    Planted(
        "a longer id in the input",
        lambda d: fields(d, EVENT)["account_id"].update(maxLength=512),
    ),
    Planted(
        "a tighter limit in results",
        lambda d: fields(d, RESULT)["account_id"].update(maxLength=128),
    ),
    Planted(
        "one more reason, of a list that may grow",
        lambda d: fields(d, REJECTED)["netfollowers-reason"]["x-known"].append("bad_signature"),
    ),
    Planted(
        "a result that was null at times never is",
        lambda d: fields(d, METADATA)["watermark_ms"].update(type="integer"),
    ),
    Planted(
        "longer retention",
        lambda d: kafka(d, "followEvents")["topicConfiguration"].update({"retention.ms": -1}),
    ),
    Planted("more copies", lambda d: kafka(d, "followEvents").update(replicas=3)),
    Planted(
        "other words",
        lambda d: (
            schema(d, ROW).update(description="A row.", title="Row"),
            d["channels"]["followEvents"].update(description="Events."),
        ),
    ),
    Planted("the same said with a reference", moved_into_defs),
)
