"""One factory makes every client: what the settings say reaches each of them."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from service.kafka import clients
from service.settings import Settings


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA of our own, made here."""
    home = tmp_path_factory.mktemp("ca")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=test", "-keyout", home / "key.pem", "-out", home / "ca.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return home


def test_plaintext_needs_nothing() -> None:
    options = clients.options(Settings(brokers="a:1,b:2"))
    assert options == {"bootstrap_servers": ["a:1", "b:2"], "security_protocol": "PLAINTEXT"}
    assert clients.faust_credentials(Settings()) is None


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
    credentials = clients.faust_credentials(settings)
    assert (credentials.username, credentials.password) == ("worker", "secret")
    assert credentials.protocol.value == "SASL_SSL"
    assert credentials.mechanism.value == "SCRAM-SHA-512"


def test_tls_without_sasl(authority: Path) -> None:
    settings = Settings(security_protocol="SSL", ssl_cafile=str(authority / "ca.pem"))
    assert clients.options(settings)["ssl_context"].check_hostname is True
    assert clients.faust_credentials(settings).protocol.value == "SSL"


def test_sasl_without_tls() -> None:
    settings = Settings(security_protocol="SASL_PLAINTEXT", sasl_username="u", sasl_password="p")  # noqa: S106
    assert "ssl_context" not in clients.options(settings)
    assert clients.faust_credentials(settings).protocol.value == "SASL_PLAINTEXT"
