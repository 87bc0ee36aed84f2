"""Compares two contract documents: topics, kinds of records, delivery, and every schema in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from jsonschema import Draft202012Validator

from tests.support.contract.schemas import Schema
from verify.contract.rules import Break, Rule, Side
from verify.contract.schema_diff import Values, pointed, resolve

Document = dict[str, Any]
FOREVER: Final = -1


class Parts(NamedTuple):
    """The schemas of one kind of record."""

    key: Schema
    value: Schema
    headers: Schema


class Channel(NamedTuple):
    """A channel of a document. `address`: the default name."""

    address: str
    side: Side
    channel: Document
    messages: dict[str, Parts]

    @property
    def kafka(self) -> Mapping[str, Any]:
        """Partitions and configuration, as `topics create` makes them."""
        found: Mapping[str, Any] = self.channel["bindings"]["kafka"]
        return found


def topics_of(document: Document) -> dict[str, Channel]:
    """Return the topic of each channel."""
    sides = {
        one["channel"]["$ref"].rpartition("/")[2]: Side.WE_READ
        if one["action"] == "receive"
        else Side.WE_WRITE
        for one in document["operations"].values()
    }
    return {
        name: Channel(channel["address"], sides[name], channel, dict(_messages(document, channel)))
        for name, channel in document["channels"].items()
    }


def compare(old: Document, new: Document) -> list[Break]:
    """Return what the new contract breaks for clients of the old one."""
    before, after = topics_of(old), topics_of(new)
    breaks = [
        Break(Rule.TOPIC_REMOVED, topic.address, "it was there")
        for name, topic in before.items()
        if name not in after
    ]
    for name in [name for name in before if name in after]:
        breaks += _topic(before[name], after[name], old, new)
    return breaks + _metadata(old, new)


def _messages(document: Document, channel: Document) -> Iterator[tuple[str, Parts]]:
    for name, reference in channel["messages"].items():
        message = resolve(reference, document)
        parts = (message["bindings"]["kafka"]["key"], message["payload"], message["headers"])
        yield name, Parts(*(schema_at(document, part) for part in parts))


def schema_at(document: Document, part: Schema) -> Schema:
    """A schema by its reference, out of AsyncAPI's wrapping."""
    found = pointed(document, part["$ref"]) if "$ref" in part else part
    return found["schema"] if isinstance(found, dict) and "schemaFormat" in found else found


def _topic(old: Channel, new: Channel, old_root: Document, new_root: Document) -> list[Break]:
    place = old.address
    gone = old.messages.keys() - new.messages.keys()
    come = new.messages.keys() - old.messages.keys()
    found = [*_names_and_settings(old, new)]
    found += [Break(Rule.MESSAGE_REMOVED, f"{place} {name}", "it was there") for name in gone]
    if old.side is Side.WE_WRITE:
        found += [Break(Rule.MESSAGE_ADDED, f"{place} {name}", "it is new") for name in come]
    for name in [name for name in old.messages if name in new.messages]:
        before, after = old.messages[name], new.messages[name]
        for part, one, other in zip(Parts._fields, before, after, strict=True):
            at = f"{place} {name} {part}"
            found += schema_breaks(old.side, (one, old_root), (other, new_root), at)
    return found


def schema_breaks(
    side: Side, old: tuple[Schema, Schema], new: tuple[Schema, Schema], place: str
) -> list[Break]:
    """Compare (schema, its document) twice: by structure, and where that finds nothing by use."""
    (before, old_root), (after, new_root) = old, new
    breaks = Values(side, old_root, new_root).compare(before, after, place)
    if breaks:
        return breaks
    is_input = side is Side.WE_READ
    shown, (schema, root) = (before, new) if is_input else (after, old)
    validator = Draft202012Validator(_rooted(schema, root))
    rule = Rule.EXAMPLE_REFUSED if is_input else Rule.EXAMPLE_UNREADABLE
    examples = shown.get("examples", ()) if isinstance(shown, dict) else ()
    return [
        Break(rule, f"{place} example {number}", error.message[:200])
        for number, example in enumerate(examples)
        for error in validator.iter_errors(example)
    ]


def _rooted(schema: Schema, root: Document) -> Schema:
    """A schema whose references (into its document) a validator can follow."""
    if not isinstance(schema, dict):
        return schema
    return {**{name: root[name] for name in ("components",) if name in root}, **schema}


def _names_and_settings(old: Channel, new: Channel) -> Iterator[Break]:
    place, before, after = old.address, old.kafka, new.kafka
    for rule, one, other in (
        (Rule.TOPIC_RENAMED, old.address, new.address),
        (Rule.DIRECTION_CHANGED, old.side.value, new.side.value),
        (Rule.PARTITIONS_CHANGED, before["partitions"], after["partitions"]),
        (Rule.PARTITIONING_CHANGED, *_facts("x-partitioning", old, new)),
        (Rule.DELIVERY_CHANGED, *_facts("x-delivery", old, new)),
        (Rule.CLEANUP_CHANGED, *_configured("cleanup.policy", old, new)),
        (Rule.TIMESTAMPS_CHANGED, *_configured("message.timestamp.type", old, new)),
    ):
        if one != other:
            yield Break(rule, place, f"{one} -> {other}")
    kept, keeps = _configured("retention.ms", old, new)
    if keeps not in {kept, FOREVER} and kept is not None and (kept == FOREVER or keeps < kept):
        yield Break(Rule.RETENTION_SHORTENED, place, f"retention.ms {kept} -> {keeps}")
    took, takes = _configured("max.message.bytes", old, new)
    if takes < took if old.side is Side.WE_READ else takes > took:
        yield Break(Rule.RECORD_SIZE_CHANGED, place, f"max.message.bytes {took} -> {takes}")


def _configured(name: str, old: Channel, new: Channel) -> tuple[Any, Any]:
    before, after = (one.kafka["topicConfiguration"].get(name) for one in (old, new))
    return before, after


def _facts(name: str, old: Channel, new: Channel) -> tuple[Any, Any]:
    """An extension without its words for people."""
    before, after = (
        {key: value for key, value in one.channel[name].items() if key != "note"}
        for one in (old, new)
    )
    return before, after


def _metadata(old: Document, new: Document) -> list[Break]:
    """What travels with the committed offset of the input."""
    found = [
        [(schema_at(one, operation["x-commit-metadata"]), one)]
        for one in (old, new)
        for operation in one["operations"].values()
        if "x-commit-metadata" in operation
    ]
    if not found:
        return []
    ([before], [after]) = found
    return schema_breaks(Side.WE_WRITE, before, after, "commit metadata")
