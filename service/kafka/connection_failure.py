"""Errors of aiokafka that mean: no broker could be used. A command ends with one line for them."""

from __future__ import annotations

import asyncio

from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from service.errors import BrokerError
from service.kafka import security
from service.settings import Settings


def as_broker_error(error: Exception, settings: Settings) -> Exception:
    """Return a BrokerError in the place of such an error, and any other error as it is.

    Connects once more, to say why no broker can be reached.
    """
    if isinstance(error, KafkaConnectionError | KafkaTimeoutError):
        why = asyncio.run(security.why_unreachable(settings)) or error
        return BrokerError(f"no broker could be used: {why}")
    if "AuthorizationFailed" in type(error).__name__:  # aiokafka has no class for all four
        return BrokerError(f"this user may not (docs/operate/security.md): {error}")
    return error
