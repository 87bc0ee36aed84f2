"""Removes the topics of a measurement, so that a long benchmark does not fill the disk."""

from __future__ import annotations

from service.kafka import clients
from service.settings import Settings


async def remove_topics(settings: Settings) -> None:
    """Delete every topic that is named after the app id. The input stays."""
    async with clients.open_admin(settings) as admin:
        ours = [
            name
            for name in await admin.list_topics()
            if name.startswith(f"{settings.app_id}-") and name != settings.input_topic
        ]
        if ours:
            await admin.delete_topics(ours)
