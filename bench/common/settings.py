"""Settings of a measurement: topics and an app id of its own."""

from __future__ import annotations

from typing import Any

from service.settings import Settings


def named(brokers: str, name: str, input_topic: str, **changes: Any) -> Settings:  # noqa: ANN401
    """Return settings with their own result topics. `changes`: as in `dataclasses.replace`.

    The topics of updates and windows have the names that the peers use (bench/peers).
    """
    of_peers = {"updates_topic": f"{name}-updates", "windows_topic": f"{name}-windows"}
    return Settings(brokers=brokers, flush_interval_s=0.5).with_prefix(
        name, **{**of_peers, "input_topic": input_topic, **changes}
    )
