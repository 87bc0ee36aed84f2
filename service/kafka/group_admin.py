"""Removes members that no longer run from the consumer group. Their partitions are free at once.

A worker with an instance id never leaves the group by itself, so that a restart causes no
rebalance. After scaling in, an operator runs `netfollowers leave`, or waits for the session
timeout. aiokafka's LeaveGroup is too old to name an instance, so version 3 of the request is
defined below.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownMemberIdError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String

from service.errors import RefusedError
from service.kafka import clients
from service.settings import Settings

_RETRY_S: Final = 0.2
_WITHIN_S: Final = 20.0
_LEAVE_GROUP: Final = 13
_TEXT: Final = String("utf-8")


class UnknownMemberError(RefusedError):
    """The group has no member with that instance id. The text lists the members."""


class _LeaveResponse(Response):
    API_KEY = _LEAVE_GROUP
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "members",
            Array(("member_id", _TEXT), ("group_instance_id", _TEXT), ("error_code", Int16)),
        ),
    )


class _LeaveStruct(RequestStruct):
    API_KEY = _LEAVE_GROUP
    API_VERSION = 3
    RESPONSE_TYPE = _LeaveResponse
    SCHEMA = Schema(
        ("group_id", _TEXT),
        ("members", Array(("member_id", _TEXT), ("group_instance_id", _TEXT))),
    )


class _Leave(Request[_LeaveStruct]):
    """Removes an instance from a group, whatever its member id is."""

    API_KEY = _LEAVE_GROUP

    def __init__(self, group: str, instance_id: str) -> None:
        self._group = group
        self._instance_id = instance_id

    def build(self, request_struct_class: type[_LeaveStruct]) -> _LeaveStruct:
        return request_struct_class(self._group, [("", self._instance_id)])


async def leave(settings: Settings, instance_id: str) -> list[str]:
    """Remove a static member from the group. Return the member ids that remain.

    A running worker would join again at its next heartbeat, so it must be stopped first.
    Errors: UnknownMemberError, KafkaError.
    """
    admin = clients.admin(settings)
    await admin.start()
    try:
        async with asyncio.timeout(_WITHIN_S):
            code = await _coordinated(admin, settings.app_id, _Leave(settings.app_id, instance_id))
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


async def _coordinated(admin: AIOKafkaAdminClient, group: str, request: _Leave) -> int:
    """Send the request to the group's coordinator until it answers. Return the error code."""
    while True:
        try:
            node = await admin.find_coordinator(group)
            response: Any = await admin._send_request_to_node(node, request)  # noqa: SLF001
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
