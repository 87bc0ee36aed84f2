"""Finds settings that are allowed one by one, and cannot work together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from service.contract.topics import TOPICS
from service.counting.rules import Grain, Rules

_DAY_MS: Final = 86_400_000
Wrong = tuple[str, str]
"""The name of the setting that should be changed, and what it should be."""


class Settings(Protocol):
    """What is looked at of the settings, beside the names of the topics."""

    @property
    def heartbeat_interval_s(self) -> float: ...
    @property
    def session_timeout_s(self) -> float: ...
    @property
    def min_isr(self) -> int: ...
    @property
    def replication_factor(self) -> int: ...
    @property
    def ssl_keyfile(self) -> str: ...
    @property
    def ssl_certfile(self) -> str: ...
    @property
    def security_protocol(self) -> str: ...
    @property
    def sasl_mechanism(self) -> str: ...
    @property
    def is_oauth(self) -> bool: ...
    @property
    def max_ahead_s(self) -> float: ...
    @property
    def expire_after_days(self) -> float: ...
    @property
    def ranked_grains(self) -> tuple[str, ...]: ...


def contradictions(settings: Settings, grains: tuple[Grain, ...]) -> Iterator[Wrong]:
    """Yield each setting that should be changed, with what it should be."""
    yield from _rules(settings, grains)
    yield from _topics(settings)
    if settings.heartbeat_interval_s >= settings.session_timeout_s:
        yield (
            "heartbeat_interval_s",
            f"below NETFOLLOWERS_SESSION_TIMEOUT_S ({settings.session_timeout_s})",
        )
    if settings.min_isr > settings.replication_factor:
        right = f"at most NETFOLLOWERS_REPLICATION_FACTOR ({settings.replication_factor})"
        yield "min_isr", right
    if settings.ssl_keyfile and not settings.ssl_certfile:
        yield "ssl_certfile", "set beside NETFOLLOWERS_SSL_KEYFILE"
    if settings.security_protocol.startswith("SASL"):
        name = "sasl_oauth_token_file" if settings.is_oauth else "sasl_username"
        if not getattr(settings, name):
            yield name, f"set with {settings.security_protocol} and {settings.sasl_mechanism}"


def _rules(settings: Settings, grains: tuple[Grain, ...]) -> Iterator[Wrong]:
    grace_s = min(grain.grace_ms for grain in grains) / 1_000
    if settings.max_ahead_s > grace_s:
        if round(settings.max_ahead_s * 1_000) == Rules().max_ahead_ms:
            right = f"of graces of at least NETFOLLOWERS_MAX_AHEAD_S ({settings.max_ahead_s} s)"
            yield "grains", right
        yield "max_ahead_s", f"at most {grace_s}, the smallest grace of NETFOLLOWERS_GRAINS"
    days = max(grain.size_ms + grain.keep_ms for grain in grains) / _DAY_MS
    if 0 < settings.expire_after_days < days:
        right = f"0, or at least {days:g}: the longest size + keep of NETFOLLOWERS_GRAINS"
        yield "expire_after_days", right
    names = {grain.name for grain in grains}
    if not set(settings.ranked_grains) <= names | {"1h"}:
        yield "top_grains", f"some of {', '.join(sorted(names))}"


def _topics(settings: Settings) -> Iterator[Wrong]:
    """Each topic needs a name of its own. A name that is not the default is the wrong one."""
    by_name: dict[str, str] = {}
    for topic in sorted(TOPICS, key=lambda one: getattr(settings, one.setting) != one.default_name):
        name = getattr(settings, topic.setting)
        other = by_name.setdefault(name, topic.setting)
        if other != topic.setting:
            yield topic.setting, f"another topic than that of NETFOLLOWERS_{other.upper()}"
