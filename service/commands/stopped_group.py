"""What changes a commit by hand needs a group without members. `skip` and `rebuild` ask here."""

from __future__ import annotations

from service.kafka import group_admin as members
from service.settings import Settings


class Refused(Exception):  # noqa: N818 - it is a refusal, with its way forward
    """A commit may not be changed as things are; the message says what to do."""


async def check_stopped(settings: Settings) -> None:
    """Refused: the group has members."""
    found = await members.running(settings)
    if found:
        message = (
            f"group {settings.app_id} has members: {', '.join(found)}. Stop every worker; one with "
            "an instance id also needs `netfollowers leave`. One that has ended by itself is a "
            f"member for up to {settings.session_timeout_s:g} s more"
        )
        raise Refused(message)
