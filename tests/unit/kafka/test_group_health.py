"""A member of the group that has been forgotten says so; one that stands by is left alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from service.kafka.aiokafka_ext.group_health import Membership


class Coordinator:
    """Answers every request with one error code, or not at all."""

    def __init__(self, code: int) -> None:
        """`code`: of every answer."""
        self.code = code

    async def _send_req(self, _: object) -> SimpleNamespace:
        return SimpleNamespace(error_code=self.code)


async def why(membership: Membership, code: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """What it says 50 s later, a heartbeat having been answered with `code` after 40 s."""
    coordinator = Coordinator(code)
    membership.hear(coordinator)
    membership.hear(coordinator)
    now = 0.0
    monkeypatch.setattr("service.kafka.aiokafka_ext.group_health.time.monotonic", lambda: now)
    membership._answered_at = 0.0
    if membership._waits_since is not None:
        membership._waits_since = 0.0
    now = 40.0
    await coordinator._send_req(None)
    now = 50.0
    return membership.why_lost()


async def test_an_empty_assignment_may_last_as_long_as_the_coordinator_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    membership = Membership(45.0)
    membership.assigned()
    assert not await why(membership, 0, monkeypatch)


async def test_a_revoke_without_an_assignment_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    membership = Membership(45.0)
    membership.revoked()
    assert "assigned nothing for 50 s" in await why(membership, 27, monkeypatch)


async def test_a_coordinator_that_answers_with_errors_only_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    membership = Membership(45.0)
    membership.assigned()
    assert "not answered for 50 s" in await why(membership, 15, monkeypatch)
