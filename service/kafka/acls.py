"""Checks the rights of this user before the worker starts. A missing right shows nowhere else.

Kafka hides topics that a user may not see. And some rights are first needed at night, by the first
late event or the first restore. A broker without an authorizer, or too old to report rights, allows
everything.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from service.contract.topics import TOPICS
from service.kafka import clients
from service.kafka.aiokafka_ext.internals import send
from service.kafka.aiokafka_ext.protocol import GroupWithRights, MetadataWithRights
from service.settings import Settings

_COORDINATED_WITHIN_S: Final = 10.0
_RETRY_S: Final = 0.2
_TRANSACTIONS: Final = 1
_BITS: Final = {"READ": 3, "WRITE": 4, "DESCRIBE": 8}
"""AclOperation codes: positions in Kafka's bit field of authorized operations."""

Missing = list[tuple[str, str]]
"""(operation, resource) that this user lacks."""


async def missing(settings: Settings) -> Missing:
    """Request every right that a worker needs. Return the missing ones. KafkaError."""
    admin = clients.admin(settings)
    await admin.start()
    try:
        found = await _topics(admin, settings)
        with suppress(TimeoutError):  # no coordinator yet: the worker will report it
            async with asyncio.timeout(_COORDINATED_WITHIN_S):
                found += await _group(admin, settings.app_id)
                if settings.is_exactly_once:
                    found += await _transactions(admin, settings.app_id)
        return found
    finally:
        await admin.close()


def command(settings: Settings, operation: str, resource: str) -> str:
    """Return the command that grants a right."""
    kind, name = resource.rsplit(" ", 1)
    pattern = " --resource-pattern-type prefixed" if kind == "transactional id" else ""
    user = settings.sasl_username or "USER"
    return (
        f"kafka-acls.sh --bootstrap-server {settings.brokers} --add "
        f"--allow-principal User:{user} --operation {operation} "
        f"--{kind.replace(' ', '-')} {name}{pattern}"
    )


async def _topics(admin: AIOKafkaAdminClient, settings: Settings) -> Missing:
    needed = {settings.topic(topic): topic.rights for topic in TOPICS}
    try:
        response: Any = await send(admin, MetadataWithRights(list(needed)))
    except (NotImplementedError, IncompatibleBrokerVersion):
        return []
    found: Missing = []
    for code, name, _, _, operations in response.topics:
        is_hidden = code == TopicAuthorizationFailedError.errno
        if is_hidden or (
            not code and _has(operations, "DESCRIBE")
        ):  # else: the broker does not report rights
            may = 0 if is_hidden else operations
            found += [(one, f"topic {name}") for one in needed[name] if not _has(may, one)]
    return found


async def _group(admin: AIOKafkaAdminClient, group: str) -> Missing:
    may_not = [("READ", f"group {group}")]
    try:
        node = await _coordinator(admin, group)
        response: Any = await send(admin, GroupWithRights(group), node)
    except GroupAuthorizationFailedError:
        return may_not
    except NotImplementedError:
        return []
    except KafkaError as error:
        if not error.retriable:
            raise
        return []  # the coordinator is moving: the worker will find it again
    code, *_, operations = response.groups[0]
    if code == GroupAuthorizationFailedError.errno:
        return may_not
    is_told = not code and _has(operations, "DESCRIBE")
    return may_not if is_told and not _has(operations, "READ") else []


async def _transactions(admin: AIOKafkaAdminClient, app_id: str) -> Missing:
    try:
        await _coordinator(admin, f"{app_id}-0", _TRANSACTIONS)
    except TransactionalIdAuthorizationFailed:
        return [("WRITE", f"transactional id {app_id}-")]
    return []


async def _coordinator(admin: AIOKafkaAdminClient, name: str, kind: int = 0) -> int:
    """Ask until there is a coordinator. A new broker must first create its topic."""
    while True:
        try:
            node: int = await admin.find_coordinator(name, kind)
        except KafkaError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(_RETRY_S)
        else:
            return node


def _has(operations: int, operation: str) -> bool:
    return bool(operations >= 0 and operations & 1 << _BITS[operation])
