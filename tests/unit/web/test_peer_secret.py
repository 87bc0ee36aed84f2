"""A token can be guessed only slowly. An unusable secret is not treated like a missing one."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.logs import OncePerInterval
from service.secret_files import MOST_BYTES
from service.settings import PREFIX, Settings, SettingsError
from service.web.middleware import GUESSES
from tests.support.web_port import ask, listening

SECRETS = (
    "API_TOKEN_FILE", "PEER_SECRET_FILE", "SASL_PASSWORD_FILE", "SASL_OAUTH_TOKEN_FILE",
    "SSL_KEY_PASSWORD_FILE",
)  # fmt: skip
UNUSABLE = [
    b"", b"\n", b" \t\r\n \n", b"\xff\xfe", b"one\ntwo\n", b"one\rtwo", b"nul\0byte", b"\x1b[31m",
    b"x" * (MOST_BYTES + 1),
]  # fmt: skip


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text("  sesame \r\n")
    return str(path)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("content", UNUSABLE)
def test_a_secret_that_is_configured_and_unusable_is_an_error(
    name: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=PREFIX + name) as caught:
        Settings.from_env({PREFIX + name: str(path)})
    assert "one secret in one line" in str(caught.value)
    assert "x" * 9 not in str(caught.value)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_cannot_be_opened_is_an_error(name: str, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(SettingsError, match=PREFIX + name):
            Settings.from_env({PREFIX + name: str(path)})


def test_a_worker_with_an_empty_token_file_ends_with_2(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("\n")
    environ = {**os.environ, "NETFOLLOWERS_API_TOKEN_FILE": str(path)}
    ended = subprocess.run(
        [sys.executable, "-m", "service", "worker"],
        env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "NETFOLLOWERS_API_TOKEN_FILE" in ended.stderr
    assert "it is empty" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_token_that_has_become_unusable_meanwhile_ends_the_start(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("")
    with pytest.raises(SettingsError, match="NETFOLLOWERS_API_TOKEN_FILE"):
        async with listening(api_token_file=str(path)):
            pass


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "])
async def test_the_scheme_has_no_case(scheme: str, token: str) -> None:
    async with listening(api_token_file=token) as port:
        answer = await ask(port, "/api/service", Authorization=f"{scheme} sesame")
        assert answer.status == 200


WRONG = [
    "Bearer",
    "Bearer ",
    "Bearer sesam",
    "Bearer sesamee",
    "sesame",
    "Basic sesame",
    "Bearer é",
]


async def test_wrong_tokens_soon_get_429_and_so_does_the_right_one(token: str) -> None:
    async with listening(api_token_file=token) as port:
        statuses = [
            (await ask(port, "/api/service", Authorization=WRONG[turn % len(WRONG)])).status
            for turn in range(30)
        ]
        assert statuses[:GUESSES] == [401] * GUESSES
        assert statuses.count(429) >= 30 - GUESSES - 3
        refused = await ask(port, "/api/service", Authorization="Bearer sesame")
        assert (refused.status, refused.headers["Retry-After"]) == (429, "2")
        assert port.refusals()["token"] == 31
        assert (await ask(port, "/live")).status == 200
        assert (await ask(port, "/")).status == 200


async def test_who_sends_no_token_guesses_nothing(token: str) -> None:
    async with listening(api_token_file=token) as port:
        for _ in range(GUESSES + 5):
            answer = await ask(port, "/api/service")
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        right = await ask(port, "/api/service", Authorization="Bearer sesame")
        assert right.status == 200
        assert port.refusals() == {}


async def test_guessing_is_logged_once_in_an_interval_and_without_the_guess(
    token: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(api_token_file=token) as port:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            for _ in range(GUESSES):
                await ask(port, "/api/service", Authorization="Bearer guess-of-mine")
    once = OncePerInterval(interval_s=60)
    lines = [one for one in caplog.records if one.name.startswith("service") and once.filter(one)]
    assert len(lines) == 1
    assert "wrong token" in lines[0].getMessage()
    assert "guess-of-mine" not in caplog.text
    assert "sesame" not in caplog.text


def test_a_stranger_cannot_make_lines_by_what_it_writes_into_a_path() -> None:
    """A broker's connection error is one line per broker: a path may look like one."""
    once = OncePerInterval(interval_s=60)
    lines = [
        logging.LogRecord(
            "service.web.middleware", logging.WARNING, "f", 1, "web: a wrong token path=%r",
            (f"/closed/10.0.0.{number}:9092",), None,
        )
        for number in range(200)
    ]  # fmt: skip
    assert sum(once.filter(line) for line in lines) == 1
