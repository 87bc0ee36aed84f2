"""What `make fresh` reads, and what it answers where it cannot run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from verify import fresh


def test_the_commands_are_those_of_the_readmes_first_screen() -> None:
    readme = (fresh.ROOT / "README.md").read_text("utf-8")

    assert fresh.first_commands(readme) == ["make demo", "make test"]


def test_the_address_counts_from_the_end_of_the_installation() -> None:
    log = "0.1 Installing\n31.0   installed in 31 s\n40.5 page: http://127.0.0.1:6066\n"

    assert fresh.address_after_s(log) == 9.5
    assert fresh.address_after_s("0.1 Installing\n") is None


def test_a_command_that_fails_is_told_with_its_code(tmp_path: Path) -> None:
    code = fresh.run(["sh", "-c", "echo before; exit 7"], tmp_path / "log")

    assert code == 7
    assert (tmp_path / "log").read_text("utf-8").endswith(" before\n")


def test_a_machine_without_debootstrap_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert fresh.what_is_missing() == "make fresh needs debootstrap: apt-get install debootstrap"


def test_a_user_who_is_not_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert "needs root" in fresh.what_is_missing()
