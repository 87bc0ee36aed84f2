"""Removes members that no longer run from the consumer group. Their partitions are free at once.

A worker with an instance id never leaves the group by itself, so that a restart causes no
rebalance. After scaling in, an operator runs `netfollowers leave`, or waits for the session
timeout.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownMemberIdError, for_code

from service.errors import RefusedError
from service.kafka import clients
from service.kafka.aiokafka_ext.internals import send
from service.kafka.aiokafka_ext.protocol import LeaveGroup
from service.settings import Settings

_RETRY_S: Final = 0.2
_WITHIN_S: Final = 20.0


class UnknownMemberError(RefusedError):
    """The group has no member with that instance id. The text lists the members."""


async def leave(settings: Settings, instance_id: str) -> list[str]:
    """Remove a static member from the group. Return the member ids that remain.

    A running worker would join again at its next heartbeat, so it must be stopped first.
    Errors: UnknownMemberError, KafkaError.
    """
    admin = clients.admin(settings)
    await admin.start()
    try:
        async with asyncio.timeout(_WITHIN_S):
            code = await _coordinated(
                admin, settings.app_id, LeaveGroup(settings.app_id, instance_id)
            )
            remaining = await _members(admin, settings.app_id)
    finally:
        await admin.close()
    if code == UnknownMemberIdError.errno:
        named = ", ".join(remaining) or "none"
        message = f"group {settings.app_id} has no member {instance_id}; its members: {named}"
        raise UnknownMemberError(message)
    if code:
        message = f"{instance_id} in group {settings.app_id}"
        raise for_code(code)(message)
    return remaining


async def running(settings: Settings) -> list[str]:
    """Return the member ids of the group. Some members may have ended without leaving."""
    admin = clients.admin(settings)
    await admin.start()
    try:
        async with asyncio.timeout(_WITHIN_S):
            return await _members(admin, settings.app_id)
    finally:
        await admin.close()


async def _coordinated(admin: AIOKafkaAdminClient, group: str, request: LeaveGroup) -> int:
    """Send the request to the group's coordinator until it answers. Return the error code."""
    while True:
        try:
            node = await admin.find_coordinator(group)
            response: Any = await send(admin, request, node)
        except KafkaError as error:
            if not error.retriable:
                raise
        else:
            code: int = response.error_code or response.members[0][2]
            if not for_code(code).retriable:
                return code
        await asyncio.sleep(_RETRY_S)


async def _members(admin: AIOKafkaAdminClient, group: str) -> list[str]:
    """Return the member ids of a group. That of a static member begins with its instance id."""
    [described] = await admin.describe_consumer_groups([group])
    return sorted(member[0] for group in described.groups for member in group[5])
