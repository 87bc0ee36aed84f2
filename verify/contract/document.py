"""Builds `docs/contract/asyncapi.json` (`python -m scripts.write_contract` writes it).

AsyncAPI 3: channels, keys, partitioning, retention and delivery bound to the schemas. Topic names
and configurations come from the code that creates the topics, so that they cannot diverge.
"""

from __future__ import annotations

import json
from typing import Any, Final

from service.contract.topics import TOPICS, RecordKind, Topic
from service.settings import Settings
from tests.support.contract import schemas
from tests.support.contract.channels import DELIVERED, FOLLOWING, HASHED, METADATA, PRODUCED

FORMAT: Final = "application/schema+json;version=draft-2020-12"
BINDING: Final = "0.5.0"
FILE: Final = schemas.CONTRACT / "asyncapi.json"
Document = dict[str, Any]


def build(version: str) -> Document:
    """The whole contract, one self-contained document."""
    settings = Settings()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Net followers",
            "version": version,
            "description": (
                "Counts followers gained and lost, per account and window of event time. Topic "
                "names, partitions and retention are the defaults of the settings."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {one.channel: _channel(one, settings) for one in TOPICS},
        "operations": {_operation_name(one): _operation(one, settings) for one in TOPICS},
        "components": {
            "messages": {m.name: _message(m) for one in TOPICS for m in one.records},
            "schemas": {
                name: {"schemaFormat": FORMAT, "schema": _schema(name)}
                for name in schemas.names()
                if not name.endswith(".key")
            },
        },
    }


def text(document: Document) -> str:
    """Return the text of the file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _channel(one: Topic, settings: Settings) -> Document:
    topic = settings.topic(one)
    return {
        "address": topic,
        "title": one.title,
        "description": one.purpose,
        "messages": {m.name: _ref("messages", m.name) for m in one.records},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": settings.partitions,
                "replicas": settings.replication_factor,
                "topicConfiguration": {
                    name: _typed(name, value) for name, value in one.configuration(settings).items()
                },
                "bindingVersion": BINDING,
            }
        },
        "x-setting": f"NETFOLLOWERS_{one.setting.upper()}",
        "x-partitioning": HASHED if one.is_input else FOLLOWING,
        "x-delivery": PRODUCED if one.is_input else DELIVERED,
        f"x-{'producers' if one.is_input else 'consumers'}-must": list(one.must),
    }


def _typed(name: str, value: str) -> object:
    """A topic's setting as the Kafka binding wants it."""
    if name == "cleanup.policy":
        return value.split(",")
    try:
        return int(value)
    except ValueError:
        return value


def _operation_name(one: Topic) -> str:
    return f"{'count' if one.is_input else 'publish'}{one.channel[0].upper()}{one.channel[1:]}"


def _operation(one: Topic, settings: Settings) -> Document:
    found: Document = {
        "action": "receive" if one.is_input else "send",
        "channel": {"$ref": f"#/channels/{one.channel}"},
        "messages": [{"$ref": f"#/channels/{one.channel}/messages/{m.name}"} for m in one.records],
    }
    if one.is_input:
        group = {"type": "string", "const": settings.app_id}
        found["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING}}
        found["x-commit-metadata"] = _ref("schemas", METADATA)
    return found


def _message(one: RecordKind) -> Document:
    return {
        "name": one.name,
        "title": one.title,
        "description": f"Recognised by: {one.recognised_by}.",
        "headers": _ref("schemas", one.headers),
        "payload": _ref("schemas", one.value),
        # Inline: AsyncAPI's schema of the Kafka binding takes no reference here, nor 2020-12.
        "bindings": {"kafka": {"key": _schema(one.key), "bindingVersion": BINDING}},
    }


def _schema(name: str) -> Document:
    found = schemas.schema(name)
    del found["$schema"], found["$id"]
    return found


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}
