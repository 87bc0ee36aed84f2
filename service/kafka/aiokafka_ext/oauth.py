"""SASL/OAUTHBEARER: a token that the broker refuses ends the connection with an error.

aiokafka takes the refusal as consent. Later the broker closes the connection without a reason.
"""

from __future__ import annotations

from typing import Any

from aiokafka.conn import OAuthAuthenticator


class Authenticator(OAuthAuthenticator):
    """Answers a refusal as RFC 7628 (3.2.3) requires. The broker then reports an error."""

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        """Return the next message to the broker, and whether it answers; None at the end."""
        if payload:
            return b"\x01", True
        step: tuple[Any, bool] | None = await super().step(payload)
        return step


def authenticator(connection: Any) -> Authenticator:  # noqa: ANN401 - aiokafka's
    """Make the authenticator of a connection. Stands in for one of the connection's methods."""
    return Authenticator(
        sasl_oauth_token_provider=connection._sasl_oauth_token_provider  # noqa: SLF001
    )
