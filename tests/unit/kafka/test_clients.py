"""One factory makes every client: what the settings say reaches each of them."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service.kafka import clients, security
from service.settings import Settings, SettingsError


@pytest.fixture(scope="module")
def authority(openssl: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA of our own, made here; its key once more, with the password `of-key`."""
    home = tmp_path_factory.mktemp("ca")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=test", "-keyout", home / "key.pem", "-out", home / "ca.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(
        [openssl, "pkcs8", "-topk8", "-in", home / "key.pem", "-out", home / "locked.pem",
         "-passout", "pass:of-key"],
        check=True, capture_output=True,
    )  # fmt: skip
    return home


def with_locked_key(authority: Path, **changes: Any) -> Settings:
    """Settings whose client key has a password."""
    ca, key = str(authority / "ca.pem"), str(authority / "locked.pem")
    return Settings(
        security_protocol="SSL", ssl_cafile=ca, ssl_certfile=ca, ssl_keyfile=key, **changes
    )


def test_plaintext_needs_nothing() -> None:
    options = clients.options(Settings(brokers="a:1,b:2"))
    assert options == {"bootstrap_servers": ["a:1", "b:2"], "security_protocol": "PLAINTEXT"}
    assert security.faust_credentials(Settings()) is None


def test_sasl_over_tls_reaches_aiokafka_and_faust(authority: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    settings = Settings(
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="worker",
        sasl_password_file=str(password),
        ssl_cafile=str(authority / "ca.pem"),
        ssl_certfile=str(authority / "ca.pem"),
        ssl_keyfile=str(authority / "key.pem"),
        ssl_check_hostname=False,
    )
    options = clients.options(settings)
    assert options["sasl_plain_password"] == "secret"  # noqa: S105
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert isinstance(options["ssl_context"], ssl.SSLContext)
    assert options["ssl_context"].check_hostname is False
    credentials = security.faust_credentials(settings)
    assert (credentials.username, credentials.password) == ("worker", "secret")
    assert credentials.protocol.value == "SASL_SSL"
    assert credentials.mechanism.value == "SCRAM-SHA-512"


def test_tls_without_sasl(authority: Path) -> None:
    settings = Settings(security_protocol="SSL", ssl_cafile=str(authority / "ca.pem"))
    assert clients.options(settings)["ssl_context"].check_hostname is True
    assert security.faust_credentials(settings).protocol.value == "SSL"


def test_sasl_without_tls() -> None:
    settings = Settings(security_protocol="SASL_PLAINTEXT", sasl_username="u", sasl_password="p")  # noqa: S106
    assert "ssl_context" not in clients.options(settings)
    assert security.faust_credentials(settings).protocol.value == "SASL_PLAINTEXT"


async def test_a_token_is_read_anew_from_its_file_each_time(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    settings = Settings(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="OAUTHBEARER",
        sasl_oauth_token_file=str(token),
    )
    credentials = security.faust_credentials(settings)
    assert credentials.mechanism.value == "OAUTHBEARER"
    for provider in (
        clients.options(settings)["sasl_oauth_token_provider"],
        credentials.oauth_cb,
    ):
        token.write_text("first\n")
        assert await provider.token() == "first"
        token.write_text("second\n")
        assert await provider.token() == "second"


def test_the_password_of_the_key_from_its_file(authority: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("of-key\n")
    clients.options(with_locked_key(authority, ssl_key_password_file=str(password)))
    clients.options(with_locked_key(authority, ssl_key_password="of-key"))  # noqa: S106


@pytest.mark.parametrize("password", ["", "another"])
def test_a_wrong_password_of_the_key_is_an_error_that_keeps_it_to_itself(
    authority: Path, password: str
) -> None:
    with pytest.raises(SettingsError, match=r"NETFOLLOWERS_SSL_CERTFILE=.*the key's") as caught:
        clients.options(with_locked_key(authority, ssl_key_password=password))
    assert "another" not in str(caught.value)


def test_a_ca_file_that_holds_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none\n")
    settings = Settings(security_protocol="SSL", ssl_cafile=str(tmp_path / "ca.pem"))
    with pytest.raises(SettingsError, match=r"NETFOLLOWERS_SSL_CAFILE=.*in PEM"):
        clients.options(settings)
