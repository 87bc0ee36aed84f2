"""A real Kafka that trusts no client: TLS by a CA of its own, four SASL mechanisms, ACLs.

Everything secret here is made when the tests run and ends with them. The PLAINTEXT listener is the
tests' own way in (its nameless user is the super user); the others are what is tested.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from service.kafka import clients
from service.local.broker import LocalBroker, start_local_broker
from service.local.broker_commands import server_properties
from service.local.kafka_jars import jars, java
from service.local.ports import free_ports
from service.settings import Settings
from tests.support.optional import tool

_KINDS: Final = {"topic": 2, "group": 3, "transactional id": 5}
_OPERATIONS: Final = {"READ": 3, "WRITE": 4, "CREATE": 5, "DESCRIBE": 8, "DESCRIBE_CONFIGS": 10}
_PATTERNS: Final = {"literal": 3, "prefixed": 4}
_PERMISSIONS: Final = {"deny": 2, "allow": 3}
_MODULE: Final = "org.apache.kafka.common.security"


@dataclass(frozen=True, slots=True)
class Right:
    """One ACL: a user, an operation, a resource."""

    user: str
    kind: str
    pattern: str
    name: str
    operation: str
    permission: str = "allow"

    def request(self) -> CreateAclsRequest:
        """As aiokafka takes it."""
        return CreateAclsRequest(
            _KINDS[self.kind],
            self.name,
            _PATTERNS[self.pattern],
            f"User:{self.user}",
            "*",
            _OPERATIONS[self.operation],
            _PERMISSIONS[self.permission],
        )


async def grant(admin: AIOKafkaAdminClient, rights: Iterable[Right]) -> None:
    """Create ACLs. The broker obeys them a moment later."""
    for right in rights:
        response: Any = await admin._send_request(right.request())
        wrong = [text for code, text in response.creation_responses if code]
        assert not wrong, wrong


class Authority:
    """A certificate authority, made by openssl in `home`."""

    def __init__(self, home: Path, name: str) -> None:
        self.ca = home / f"{name}.pem"
        self._home = home
        self._key = home / f"{name}.key"
        _openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.ca,
        )  # fmt: skip

    def certify(self, name: str, *, days: int = 2, alternative: str = "") -> tuple[Path, Path]:
        """Return certificate and key of `name`; `alternative`: such as IP:127.0.0.1."""
        key, request = self._home / f"{name}.key", self._home / f"{name}.csr"
        certificate, extensions = self._home / f"{name}.crt", self._home / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n" if alternative else "")
        _openssl(
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
            "-keyout", key, "-out", request,
        )  # fmt: skip
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key,
            "-CAcreateserial", "-days", str(days), "-extfile", extensions, "-out", certificate,
        )  # fmt: skip
        return certificate, key


def _openssl(*arguments: str | Path) -> None:
    subprocess.run([tool("openssl"), *arguments], check=True, capture_output=True)


def token(user: str, lifetime_s: float) -> str:
    """Make an unsecured JSON Web Signature (`alg: none`), as Kafka's test validator takes it."""
    now = time.time()
    claims = {"sub": user, "iat": round(now) - 60, "exp": now + lifetime_s}
    parts = ({"alg": "none"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join(part.rstrip("=") for part in encoded) + "."


@dataclass(slots=True)
class Secured(AbstractContextManager["Secured"]):
    """The broker. `with`: it ends."""

    home: Path
    users: Iterable[str]
    authority: Authority = field(init=False)
    broker: LocalBroker = field(init=False)
    passwords: Mapping[str, str] = field(init=False)
    sasl: str = field(init=False)
    ssl: str = field(init=False)

    def __post_init__(self) -> None:
        """Make the CA, format the storage with SCRAM credentials, start."""
        plain, sasl, ssl, controller = free_ports(4)
        self.sasl, self.ssl = f"127.0.0.1:{sasl}", f"127.0.0.1:{ssl}"
        self.authority = Authority(self.home, "ca")
        self.passwords = {user: f"pw-{secrets.token_hex(8)}" for user in self.users}
        log_dir = self.home / "kafka"
        log_dir.mkdir()
        overrides = self._overrides(plain, controller)
        self._format(server_properties(log_dir, plain, controller, overrides))
        self.broker = start_local_broker("kafka", log_dir=log_dir, port=plain, overrides=overrides)

    def __exit__(self, *_: object) -> None:
        self.broker.stop()

    def over_sasl(self, user: str, mechanism: str = "PLAIN", **changes: Any) -> dict[str, Any]:
        """Changes of settings that connect `user` through SASL_SSL, its password in a file."""
        secret = self.home / f"{user}.password"
        secret.write_text(self.passwords[user] + "\n")
        return {
            "brokers": self.sasl,
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": mechanism,
            "sasl_username": user,
            "sasl_password_file": str(secret),
            "ssl_cafile": str(self.authority.ca),
            **changes,
        }

    def with_token(self, path: Path, **changes: Any) -> dict[str, Any]:
        """Changes of settings that connect with the token in `path`."""
        return {
            "brokers": self.sasl,
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "OAUTHBEARER",
            "sasl_oauth_token_file": str(path),
            "ssl_cafile": str(self.authority.ca),
            **changes,
        }

    async def grant(self, rights: Iterable[Right]) -> None:
        """Create ACLs as the super user."""
        async with clients.open_admin(Settings(brokers=self.broker.bootstrap)) as admin:
            await grant(admin, rights)

    def _overrides(self, plain: int, controller: int) -> dict[str, str]:
        certificate, key = self.authority.certify("broker", alternative="IP:127.0.0.1")
        store = self.home / "broker.pem"
        store.write_text(key.read_text() + certificate.read_text() + self.authority.ca.read_text())
        ours = f"PLAINTEXT://127.0.0.1:{plain},SASL_SSL://{self.sasl},SSL://{self.ssl}"
        accounts = " ".join(f'user_{user}="{word}"' for user, word in self.passwords.items())
        sasl = "listener.name.sasl_ssl"
        return {
            "listeners": f"{ours},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": ours,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
            "SASL_SSL:SASL_SSL,SSL:SSL",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.ca),
            "listener.name.ssl.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
            f"{sasl}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            f"{sasl}.plain.sasl.jaas.config": f"{_MODULE}.plain.PlainLoginModule required "
            f"{accounts};",
            f"{sasl}.scram-sha-256.sasl.jaas.config": f"{_MODULE}.scram.ScramLoginModule required;",
            f"{sasl}.scram-sha-512.sasl.jaas.config": f"{_MODULE}.scram.ScramLoginModule required;",
            f"{sasl}.oauthbearer.sasl.jaas.config": f"{_MODULE}.oauthbearer.OAuthBearerLoginModule "
            "required;",
        }

    def _format(self, properties: Path) -> None:
        scram = [
            f"--add-scram={mechanism}=[name={user},password={self.passwords[user]}]"
            for user in list(self.passwords)[:1]
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        ]
        subprocess.run(
            [java(), "-cp", f"{jars()}/*", "kafka.tools.StorageTool", "format",
             "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", properties, *scram],
            check=True, capture_output=True,
        )  # fmt: skip
