"""TLS and SASL of every client: contexts, secrets from files, and the cause of a failure.

aiokafka only logs the cause of a failed connection, so it is found out here. No message and no log
line may contain a secret.
"""

from __future__ import annotations

import base64
import ssl
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final

import faust
import msgspec
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError, SaslAuthenticationFailed
from aiokafka.protocol.metadata import MetadataRequest

from service.kafka.aiokafka_ext.install import install
from service.secret_files import UnusableSecretError, read_secret
from service.settings import PREFIX, Settings, SettingsError

_ANSWERS_WITHIN_MS: Final = 5_000


class _Claims(msgspec.Struct):
    """The claims of a JSON Web Token that matter here."""

    exp: float = 0.0


class TokenFile(AbstractTokenProvider):
    """A token that another program keeps fresh. Its file is read again for every connection."""

    def __init__(self, path: str) -> None:
        """`path`: a file that contains only the token."""
        self._path = Path(path)

    async def token(self) -> str:
        """Read the token. It is a few hundred bytes, so it needs no thread."""
        try:
            return read_secret(str(self._path))
        except UnusableSecretError as error:
            message = f"{self._path}: should be {error}"
            raise KafkaConnectionError(message) from None


def options(settings: Settings) -> dict[str, Any]:
    """Return the security options of every aiokafka client. SettingsError if a file is unusable.

    No client is made without them, also not Faust's. So this is where aiokafka gets its
    corrections.
    """
    install()
    found: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.security_protocol.endswith("SSL"):
        found["ssl_context"] = ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        found["sasl_mechanism"] = settings.sasl_mechanism
        if settings.is_oauth:
            found["sasl_oauth_token_provider"] = TokenFile(settings.sasl_oauth_token_file)
        else:
            found["sasl_plain_username"] = settings.sasl_username
            found["sasl_plain_password"] = sasl_password(settings)
    return found


def faust_credentials(settings: Settings) -> Any:  # noqa: ANN401 - Faust's
    """Return the credentials of `options` in Faust's form; None for PLAINTEXT."""
    found = options(settings)
    context = found.get("ssl_context")
    if "sasl_oauth_token_provider" in found:
        provider = found["sasl_oauth_token_provider"]
        return faust.auth.OAuthCredentials(oauth_cb=provider, ssl_context=context)
    if "sasl_mechanism" in found:
        return faust.SASLCredentials(
            mechanism=found["sasl_mechanism"],
            username=found["sasl_plain_username"],
            password=found["sasl_plain_password"],
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """Build the TLS context of the settings: own CA, client certificate, host name check."""
    try:
        context = ssl.create_default_context(cafile=settings.ssl_cafile or None)
    except OSError as error:
        _refuse("SSL_CAFILE", settings.ssl_cafile, f"CA certificates in PEM: {error}", error)
    context.check_hostname = settings.ssl_check_hostname
    if settings.ssl_certfile:
        password = settings.secret("ssl_key_password_file") or settings.ssl_key_password
        try:
            # A function, because without a password OpenSSL would prompt on the terminal and wait.
            context.load_cert_chain(
                settings.ssl_certfile, settings.ssl_keyfile or None, lambda: password
            )
        except OSError as error:
            right = "a certificate with its key in PEM, and the key's password"
            _refuse("SSL_CERTFILE", settings.ssl_certfile, f"{right}: {error}", error)
    return context


def sasl_password(settings: Settings) -> str:
    """Return the password from its file if there is one, else from the setting."""
    return settings.secret("sasl_password_file") or settings.sasl_password


def _refuse(name: str, value: str, right: str, error: OSError) -> None:
    message = f"{PREFIX}{name}={value!r}: should be {right}"
    raise SettingsError(message) from error


async def why_unreachable(settings: Settings) -> str:
    """Try to connect to each broker. Return what is wrong with the first that fails, or ""."""
    common = options(settings)
    for host, port, _ in collect_hosts(settings.brokers.split(",")):
        try:
            await _ask(host, port, common)
        except (KafkaError, OSError, TimeoutError) as error:
            return f"{host}:{port}: {_in_words(settings, error)}"
    return ""


async def _ask(host: str, port: int, common: dict[str, Any]) -> None:
    """Connect and send a request, because some refusals come only then."""
    connection = await create_conn(host, port, request_timeout_ms=_ANSWERS_WITHIN_MS, **common)
    try:
        await connection.send(MetadataRequest([]))
    finally:
        await connection.close()


def _in_words(settings: Settings, error: BaseException) -> str:
    """Say what failed, and which setting it depends on."""
    error = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted (NETFOLLOWERS_SSL_CAFILE): {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed (NETFOLLOWERS_SECURITY_PROTOCOL, NETFOLLOWERS_SSL_CERTFILE): {error}"
    if isinstance(error, SaslAuthenticationFailed):
        who = _token_in_words(settings) if settings.is_oauth else f"user {settings.sasl_username!r}"
        return f"{settings.sasl_mechanism} authentication of {who} failed: {error.args[0]}"
    if isinstance(error, TimeoutError):
        return f"no answer within {_ANSWERS_WITHIN_MS // 1_000} s (NETFOLLOWERS_SECURITY_PROTOCOL?)"
    if isinstance(error, KafkaConnectionError | ConnectionResetError):
        return f"{str(error) or repr(error)} (NETFOLLOWERS_SECURITY_PROTOCOL?)"
    return str(error) or repr(error)


def _token_in_words(settings: Settings) -> str:
    """Say when the token expired, since brokers do not. Its other claims must not be shown."""
    name = "the token (NETFOLLOWERS_SASL_OAUTH_TOKEN_FILE)"
    try:
        payload = Path(settings.sasl_oauth_token_file).read_text().split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=="), type=_Claims)
    except (OSError, IndexError, ValueError, msgspec.DecodeError):
        return name  # not a JSON Web Token
    return f"{name}, which is valid until {formatdate(claims.exp)}," if claims.exp else name
