"""Fixtures of the web tests: deployments as in tests/broker, and a browser."""

from __future__ import annotations

from tests.broker.conftest import deployed

__all__ = ["deployed"]
