"""`python -m scripts.write_contract`: writes asyncapi.json and the page for people.

Nothing is written by hand in `docs/contract/` but the text around the tables, which is here.
"""

# ruff: noqa: T201 - a command line

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from service.contract.topics import TOPICS
from tests.support.contract.channels import DELIVERED, FOLLOWING, METADATA, PRODUCED
from tests.support.contract.schemas import CONTRACT, KNOWN
from verify.contract import document, releases
from verify.contract.rules import SAYS
from verify.contract.topic_diff import Channel, Parts, topics_of

FILE: Final = CONTRACT / "README.md"
DAY_MS: Final = 86_400_000

HEAD: Final = """\
<!-- made by `python -m scripts.write_contract`, held by its test -->

# The contract, version {version}

Producers and consumers can rely on this page. It is made from the sources against which the service
is tested: the JSON Schemas (2020-12) in
[service/contract/schemas](../../service/contract/schemas) and the topics of
`netfollowers topics create`. [asyncapi.json](asyncapi.json) contains all of it in one AsyncAPI 3
document. Topic names, partitions and retention are the defaults of the settings.

In the tests every record that the service writes is checked against its schema. Each schema has
valid examples. Invalid ones are in [counterexamples](counterexamples). Both are tests.

Times are integers in milliseconds since 1970, UTC, with names that end in `_ms` (`occurred_at` of
the input may be text). Keys and headers are bytes; the schemas describe them as UTF-8 text. Bytes
of input records are described as Latin-1: each character is a byte. A header of an input record
may be null. A late or rejected record keeps it as null under `original:`, and the schemas describe
it as empty text. A byte in the name of a header that is not UTF-8 is written as `\\xNN` there.

**Input.** {produced}

**Results.** {delivered} {following}
"""

TAIL: Final = """\
## What a schema cannot say

- The key is equal to `account_id`; ids have at most 256 *bytes*; integers are written without
  fraction or exponent; a time exists (no 30th of February). A record that breaks one of these rules
  is rejected, with its reason.
- A `read_committed` reader sees each record of a result topic once. The counts in the commit
  metadata sum to the records before the committed offset.
- `event_id` is globally unique. A second event with the same id is a duplicate and changes
  nothing, if both are within the last 131,072 to 262,144 records of the partition.

## What may change and what may not

`make contract`, in CI, compares this contract with the last one in [released](released) and fails
on each of these:

{rules}

These changes may come at any time, so expect them: new optional fields and headers in results; new
values in lists marked *may grow*; new optional fields, actions and kinds of records in the input;
longer retention; other words in descriptions.

When the contract has changed without a break: `python -m scripts.write_contract` (the minor version
rises by itself), and `python -m scripts.release_contract` with the release of the service. A
release is never edited.

## A breaking change

It needs another topic. Users of the old topic must not notice the change:

1. give the topic a new default name (`net-follower-windows-v2`) in `service/contract/topics.py`,
   raise `MAJOR` in `verify/contract/releases.py`, and make the change. The gate now lets a break
   pass, but only under a new topic name;
2. `python -m scripts.write_contract`; `python -m scripts.release_contract` writes
   `released/2.0.0/`;
3. roll it out as [versioning](../operate/versioning.md) says: the new version counts from the log
   into its own topics under a new app id, both run side by side, consumers switch, the old ones go.
"""


def page(contract: Mapping[str, Any]) -> str:
    topics = topics_of(dict(contract))
    words = {"produced": PRODUCED, "delivered": DELIVERED, "following": FOLLOWING}
    notes = {name: facts["note"] for name, facts in words.items()}
    sections = [HEAD.format(version=contract["info"]["version"], **notes)]
    sections += ["\n".join(_topic(topics[one.channel])) for one in TOPICS]
    metadata = contract["components"]["schemas"][METADATA]["schema"]
    sections += ["\n".join(_metadata(metadata))]
    rules = [f"| `{rule}` | {says} |" for rule, says in SAYS.items()]
    table = "\n".join(["| rule | says |", "|---|---|", *rules])
    return "\n".join([*sections, TAIL.format(rules=table)])


def _topic(topic: Channel) -> Iterator[str]:
    channel, kafka = topic.channel, topic.kafka
    configured = kafka["topicConfiguration"]
    verb = "producers" if "x-producers-must" in channel else "consumers"
    yield f"## {topic.address}: {channel['title'].lower()}"
    yield f"\n{channel['description']}\n"
    yield f"**{verb.capitalize()} must**\n"
    yield from (f"- {one}" for one in channel[f"x-{verb}-must"])
    yield f"\n| | |\n|---|---|\n| named by | `{channel['x-setting']}` |"
    yield f"| partitions | {kafka['partitions']}, by {_fact(channel['x-partitioning'], 'by')} |"
    if "partition" in channel["x-partitioning"]:
        yield f"| partition | `{channel['x-partitioning']['partition']}` |"
    yield f"| kept | {_kept(configured)} |"
    if "message.timestamp.type" in configured:
        yield f"| record timestamps | {configured['message.timestamp.type']} |"
    yield f"| delivery | {_delivery(channel['x-delivery'])} |"
    if "hash" in channel["x-partitioning"]:
        yield f"\n{channel['x-partitioning']['note']}"
    told = {one.name: one for each in TOPICS for one in each.records}
    for message, parts in topic.messages.items():
        yield from _message(told[message].title, told[message].recognised_by, parts)
    yield ""


def _fact(facts: Mapping[str, Any], name: str) -> str:
    return str(facts[name])


def _kept(configured: Mapping[str, Any]) -> str:
    if "compact" in configured["cleanup.policy"]:
        return "compacted: the last record of each key, for ever"
    return f"{configured['retention.ms'] / DAY_MS:g} days"


def _delivery(facts: Mapping[str, Any]) -> str:
    said = [f"acks={facts['acks']}", "idempotent producer" if facts["idempotent"] else ""]
    if facts.get("transactional"):
        said += ["one transaction per checkpoint", f"isolation.level={facts['isolation.level']}"]
    return ", ".join(filter(None, said))


def _message(title: str, recognised_by: str, parts: Parts) -> Iterator[str]:
    yield f"\n### {title}\n\nRecognised by: {recognised_by}. {_sentence(parts.key)}\n"
    yield f"{_sentence(parts.value)}"
    yield from _table("field", parts.value)
    if parts.headers.get("properties"):
        yield f"\n{_sentence(parts.headers)}"
        yield from _table("header", parts.headers)
    yield from _examples(parts)


def _sentence(schema: Mapping[str, Any]) -> str:
    return str(schema["description"])


def _table(what: str, schema: Mapping[str, Any]) -> Iterator[str]:
    rows = list(_fields(schema))
    if rows:
        yield f"\n| {what} | type | unit | meaning |\n|---|---|---|---|"
        yield from rows


def _fields(schema: Mapping[str, Any], above: str = "", when: str = "") -> Iterator[str]:
    """A row for each field, those of alternatives and of nested objects included."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        if when and name == "action":
            continue
        if field is False:
            yield f"| `{above}{name}` | | | must be absent |"
            continue
        optional = "" if name in required else "optional. "
        told = _escaped(f"{when}{optional}{field.get('description', '')}{_values(field)}")
        yield f"| `{above}{name}` | {_type(field)} | {field.get('x-unit', '')} | {told} |"
        yield from _fields(field, f"{above}{name}.")
        inner = field.get("additionalProperties")
        if isinstance(inner, dict) and isinstance(inner.get("items"), dict):
            yield from _places(inner["items"], f"{above}{name}.*[]")
    for pattern, field in schema.get("patternProperties", {}).items():
        told = _escaped(f"any number. {field.get('description', '')}")
        yield f"| `{_escaped(pattern)}` | {_type(field)} | {field.get('x-unit', '')} | {told} |"
    for variant in schema.get("oneOf", ()):
        yield from _fields(variant, above, f"*{variant.get('title', '')}:* ")


def _places(schema: Mapping[str, Any], above: str) -> Iterator[str]:
    for number, place in enumerate(schema.get("prefixItems", ())):
        told = f"`{place['title']}`: {place['description']}"
        yield f"| `{above}[{number}]` | {_type(place)} | {place.get('x-unit', '')} | {told} |"


def _type(field: Mapping[str, Any]) -> str:
    if "oneOf" in field:
        return " or ".join(_type(one) for one in field["oneOf"])
    said = field.get("type", "")
    name = said if isinstance(said, str) else " or ".join(said)
    if not name:
        name = "integer" if isinstance(field.get("const"), int) else "string"
    span = _span(field)
    return f"{name} {span}" if span else str(name)


def _span(field: Mapping[str, Any]) -> str:
    low = field.get("minimum", field.get("minLength"))
    high = field.get("maximum", field.get("maxLength"))
    if low is None and high is None:
        return ""
    if high is None:
        return f">= {low}"
    return f"{low or 0:,} to {high:,}"


def _values(field: Mapping[str, Any]) -> str:
    listed = [field["const"]] if "const" in field else field.get("enum", field.get(KNOWN, ()))
    if not listed:
        return ""
    grows = " (may grow)" if KNOWN in field else ""
    return f" One of{grows}: {', '.join(f'`{json.dumps(one)}`' for one in listed)}."


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").strip()


def _examples(parts: Parts) -> Iterator[str]:
    yield "\n```"
    for name, schema in zip(Parts._fields, parts, strict=True):
        example = schema["examples"][0]
        if example != {} or name != "headers":
            yield f"{name:8}{json.dumps(example, ensure_ascii=False)}"
    yield "```"


def _metadata(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "## Commit metadata\n"
    yield (
        f"{_sentence(schema)} JSON, under 4,096 bytes. At least once it is the `metadata` of the "
        "checkpoint record."
    )
    yield from _table("field", schema)
    yield f"\n```\n{json.dumps(schema['examples'][0], ensure_ascii=False)}\n```\n"


def main() -> None:
    """Write both files."""
    contract = releases.present()
    document.FILE.write_text(document.text(contract))
    FILE.write_text(page(contract))
    print(f"contract {contract['info']['version']} written")


if __name__ == "__main__":
    main()
