"""Deployments, as the broker tests have them."""

from tests.broker.conftest import deployed

__all__ = ["deployed"]
