"""The required topics: created by one command, checked at every start.

A finding that would make results wrong or lose them is an error, and the worker does not start. A
finding that only weakens the service is a warning. Every finding names the exact command that
corrects it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from service.contract.topics import RESULTS, TOPICS
from service.errors import UsageError
from service.kafka import acls as rights
from service.kafka import clients
from service.settings import Settings

log = logging.getLogger(__name__)

_VISIBLE_WITHIN_S: Final = 30.0
MIN_MESSAGE_BYTES: Final = 1_000_000
"""The largest batch of results fits into this."""
_MUST: Final = ("cleanup.policy", "max.message.bytes")
_COMPACTED: Final = (
    ": compaction keeps only the newest event of each account. It deletes the other events, "
    "counted or not, and deleted events cannot be counted. Set the policy to delete; then the "
    "remaining events are counted. If the topic was compacted already, count the accounts again "
    "from baselines"
)


class TopicsError(UsageError):
    """The topics do not allow a start. The text lists every finding with its fix."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A wrong property of a topic, and the command that corrects it."""

    text: str
    fix: str
    is_error: bool

    def __str__(self) -> str:
        """Return the finding in two lines."""
        return f"{'error' if self.is_error else 'warning'}: {self.text}\n  fix: {self.fix}"


def configuration(settings: Settings) -> dict[str, dict[str, str]]:
    """Return the configuration of each topic, as `create` sets it and `check` expects it."""
    return {settings.topic(topic): topic.configuration(settings) for topic in TOPICS}


async def create(settings: Settings) -> list[str]:
    """Create the missing topics. Return a line per topic. Existing topics do not change."""
    lines = []
    admin = clients.admin(settings)
    await admin.start()
    try:
        for name, wanted in configuration(settings).items():
            topic = NewTopic(
                name,
                settings.partitions,
                settings.replication_factor,
                topic_configs=wanted,
            )
            response = await admin.create_topics([topic])
            code = response.topic_errors[0][1]
            error = for_code(code)
            if code == TopicAlreadyExistsError.errno:
                lines.append(f"{name}: exists already, not changed")
            elif code:
                message = f"{name}: {response.topic_errors[0][2]}"
                raise error(message)
            else:
                lines.append(f"{name}: created with {settings.partitions} partitions")
        await _visible(admin, settings)
    finally:
        await admin.close()
    return lines


async def _visible(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    """Wait until every broker knows the new topics, because this takes a moment."""
    async with asyncio.timeout(_VISIBLE_WITHIN_S):
        while True:
            described = await admin.describe_topics(list(configuration(settings)))
            codes = {topic["topic"]: topic["error_code"] for topic in described}
            forbidden = TopicAuthorizationFailedError.errno
            if hidden := sorted(name for name, code in codes.items() if code == forbidden):
                message = f"DESCRIBE topic {', '.join(hidden)}"
                raise TopicAuthorizationFailedError(message)
            if not any(codes.values()):
                return
            await asyncio.sleep(0.05)


async def partitions_of_input(admin: AIOKafkaAdminClient, settings: Settings) -> int | None:
    """Return the partition count of the input now; None if there is no such topic."""
    return (await _partition_counts(admin, settings)).get(settings.input_topic)


def grown(settings: Settings, found: int, counted: int) -> str:
    """Say what a changed partition count of the input means, and what to do."""
    return (
        f"{settings.input_topic} has {found} partitions now, {counted} are counted: producers put "
        "accounts into other partitions than before, where their totals would start at 0. Count "
        "the whole log again, with new result topics and a new NETFOLLOWERS_APP_ID: see "
        "`Partitions added to the input` in docs/operate/runbook.md"
    )


async def check(settings: Settings) -> list[Finding]:
    """Compare every topic with its requirements. Return the findings, errors first."""
    admin = clients.admin(settings)
    await admin.start()
    try:
        counts = await _partition_counts(admin, settings)
        findings = _missing(settings, counts) + _uneven(settings, counts)
        for topic, wanted in configuration(settings).items():
            if topic in counts:
                found = await _configuration(admin, topic)
                findings += _differences(settings, topic, wanted, found)
    finally:
        await admin.close()
    return sorted(findings, key=lambda finding: not finding.is_error)


async def require(settings: Settings) -> int:
    """Refuse to start on any error, and log warnings. Return the input's partition count."""
    findings = await _forbidden(settings) or await check(settings)
    errors = [finding for finding in findings if finding.is_error]
    if errors:
        raise TopicsError("\n".join(map(str, errors)))
    for finding in findings:
        log.warning("%s; fix: %s", finding.text, finding.fix)
    admin = clients.admin(settings)
    await admin.start()
    try:
        return (await _partition_counts(admin, settings))[settings.input_topic]
    finally:
        await admin.close()


async def _forbidden(settings: Settings) -> list[Finding]:
    """Return missing rights. Then no other check is useful, because Kafka hides much."""
    return [
        Finding(
            f"this user may not {operation} {resource} (docs/operate/security.md)",
            rights.command(settings, operation, resource),
            is_error=True,
        )
        for operation, resource in await rights.missing(settings)
    ]


async def _partition_counts(admin: AIOKafkaAdminClient, settings: Settings) -> dict[str, int]:
    """Return the partition count of each existing topic. A request by name could create it."""
    existing = set(await admin.list_topics())
    topics = [name for name in settings.topic_names.values() if name in existing]
    described = await admin.describe_topics(topics) if topics else []
    return {
        topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]
    }


async def _configuration(admin: AIOKafkaAdminClient, topic: str) -> Mapping[str, str] | None:
    """Return the configuration of a topic; None if the broker does not return it."""
    try:
        responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        code, _, _, _, entries = responses[0].resources[0]
    except (KafkaError, IndexError, ValueError) as error:
        log.debug("configuration of %s cannot be read: %r", topic, error)
        return None
    return None if code else {entry[0]: entry[1] for entry in entries}


def _missing(settings: Settings, counts: Mapping[str, int]) -> list[Finding]:
    return [
        Finding(
            f"topic {topic} does not exist, or this user may not see it",
            f"NETFOLLOWERS_BROKERS={settings.brokers} netfollowers topics create",
            is_error=True,
        )
        for topic in configuration(settings)
        if topic not in counts
    ]


def _uneven(settings: Settings, counts: Mapping[str, int]) -> list[Finding]:
    wanted = counts.get(settings.input_topic)
    findings = []
    for result in RESULTS:
        topic = settings.topic(result)
        found = counts.get(topic)
        if wanted is None or found is None or found == wanted:
            continue
        fix = (
            f"if nothing has been counted yet: kafka-topics.sh --bootstrap-server "
            f"{settings.brokers} --alter --topic {topic} --partitions {wanted}; if partitions were "
            f"added to {settings.input_topic}: docs/operate/runbook.md, "
            "Partitions added to the input"
            if found < wanted
            else "a topic cannot lose partitions: name another one in "
            f"NETFOLLOWERS_{result.setting.upper()} and create it"
        )
        text = f"topic {topic} has {found} partitions, {settings.input_topic} has {wanted}"
        findings.append(Finding(text, fix, is_error=True))
    return findings


def _differences(
    settings: Settings, topic: str, wanted: Mapping[str, str], found: Mapping[str, Any] | None
) -> list[Finding]:
    if found is None:
        text = f"the broker does not tell the configuration of {topic}"
        fix = (
            "grant DESCRIBE_CONFIGS (docs/operate/security.md), "
            "or check it with the broker's own tools"
        )
        return [Finding(text, fix, is_error=False)]
    findings = []
    for name, value in wanted.items():
        if name in found and not _is_good(name, value, str(found[name])):
            fix = (
                f"kafka-configs.sh --bootstrap-server {settings.brokers} --alter "
                f"--entity-type topics --entity-name {topic} --add-config {name}={value}"
            )
            text = f"topic {topic} has {name}={found[name]}, should be {value}"
            if name == "cleanup.policy" and topic == settings.input_topic:
                text += _COMPACTED
            is_error = name in _MUST and not (
                topic == settings.input_topic and name == "max.message.bytes"
            )
            findings.append(Finding(text, fix, is_error=is_error))
    return findings


def _is_good(name: str, wanted: str, found: str) -> bool:
    if name == "max.message.bytes":
        return int(found) >= MIN_MESSAGE_BYTES
    if name == "retention.ms":
        return int(found) < 0 or int(found) >= int(wanted)
    if name == "min.insync.replicas":
        return int(found) >= int(wanted)
    if name == "segment.bytes":
        return int(found) <= int(wanted)
    if name == "min.cleanable.dirty.ratio":
        return float(found) <= float(wanted)
    return found == wanted
