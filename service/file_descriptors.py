"""File descriptors: the web port must never use those that Kafka's connections need."""

from __future__ import annotations

import logging
import resource
from dataclasses import replace
from typing import Final

from service.settings import Settings
from service.web.connections import SPARE

log = logging.getLogger(__name__)

_WORKER: Final = 256
_PER_PARTITION: Final = 8
"""Connections of a partition's reader and producer, each to several brokers."""
_LEAST: Final = 16


def fit(settings: Settings, partitions: int) -> Settings:
    """Raise the limit of this process as far as allowed. Return settings whose connections fit."""
    others = _WORKER + _PER_PARTITION * partitions + SPARE
    wanted = settings.api_connections + others
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(wanted, soft)
    if soft != resource.RLIM_INFINITY and soft < min(wanted, hard):
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return settings
    fitting = max(_LEAST, soft - others)
    log.warning(
        "web: this process may open %d files, so it accepts only %d connections, not "
        "NETFOLLOWERS_API_CONNECTIONS=%d: raise its limit (ulimit -n) to %d",
        soft,
        fitting,
        settings.api_connections,
        wanted,
    )
    return replace(settings, api_connections=fitting)
