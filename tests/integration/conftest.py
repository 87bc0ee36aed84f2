"""Deployments for every integration test."""

from tests.support.deployment_fixtures import deployed, deployed_on_tansu

__all__ = ["deployed", "deployed_on_tansu"]
