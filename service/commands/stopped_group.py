"""Checks that a group has no members. `skip` and `rebuild` need this to change a commit."""

from __future__ import annotations

from service.errors import RefusedError
from service.kafka import group_admin as members
from service.settings import Settings


async def check_stopped(settings: Settings) -> None:
    """RefusedError: the group has members."""
    found = await members.running(settings)
    if found:
        message = (
            f"group {settings.app_id} has members: {', '.join(found)}. Stop every worker; one with "
            "an instance id also needs `netfollowers leave`. One that has ended by itself is a "
            f"member for up to {settings.session_timeout_s:g} s more"
        )
        raise RefusedError(message)
