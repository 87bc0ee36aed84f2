"""All settings, read from the environment once.

`Settings.from_env(os.environ)` is the only reader. Every variable stands in `SETTINGS_VARIABLES`
with its default and meaning; docs/operate/settings.md is tested against it. An error names the
variable, its value and what would be right.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from service.counting.leaders import DEPTH
from service.counting.rules import DEFAULT_GRAINS, Grain, Rules, differences
from service.secret_files import UnusableSecretError, read_secret

PREFIX: Final = "NETFOLLOWERS_"
_MOST_WATCHED: Final = 1_000
Guarantee = Literal["exactly_once", "at_least_once"]


class SettingsError(ValueError):
    """A variable whose value cannot be used; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: its default as text, and what it means."""

    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Frozen. Each field is the variable of the same name, in lower case, without the prefix."""

    brokers: str = "127.0.0.1:9092"
    app_id: str = "net-followers"
    input_topic: str = "follow-events"
    updates_topic: str = "net-follower-updates"
    windows_topic: str = "net-follower-windows"
    late_topic: str = "follow-events-late"
    rejected_topic: str = "follow-events-rejected"
    partitions: int = 4
    replication_factor: int = 1
    min_isr: int = 1
    input_retention_days: float = 30.0
    results_retention_days: float = 30.0
    guarantee: Guarantee = "exactly_once"
    flush_interval_s: float = 0.25
    flush_records: int = 20_000
    grains: str = ",".join(DEFAULT_GRAINS)
    max_ahead_s: float = 10.0
    dedup_generation: int = 131_072
    expire_after_days: float = 0.0
    sweep_buckets: int = 1_024
    instance_id: str = ""
    session_timeout_s: float = 20.0
    heartbeat_interval_s: float = 1.0
    transaction_timeout_s: float = 60.0
    stuck_after_s: float = 60.0
    batch_records: int = 5_000
    fetch_bytes: int = 1_048_576
    web_host: str = "127.0.0.1"
    web_port: int = 6066
    advertised_url: str = ""
    web_names: str = ""
    api_token_file: str = ""
    peer_secret_file: str = ""
    api_rate: float = 200.0
    api_streams: int = 200
    api_connections: int = 1_000
    log_level: str = "info"
    log_format: str = "text"
    watch: str = ""
    top_accounts: int = 10
    top_grains: str = "1h"
    account_series_limit: int = 15_000
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str = ""
    sasl_password: str = field(default="", repr=False)
    sasl_password_file: str = ""
    sasl_oauth_token_file: str = ""
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    ssl_key_password: str = field(default="", repr=False)
    ssl_key_password_file: str = ""
    ssl_check_hostname: bool = True

    @property
    def rules(self) -> Rules:
        """The settings that change results, as the engine takes them."""
        return Rules(
            grains=tuple(_grain(text) for text in self.grains.split(",")),
            max_ahead_ms=round(self.max_ahead_s * 1_000),
            dedup_generation=self.dedup_generation,
            sweep_buckets=self.sweep_buckets,
            expire_after_ms=round(self.expire_after_days * 86_400_000),
        )

    @property
    def watched(self) -> tuple[str, ...]:
        """Account ids of the watch list, in its order."""
        return tuple(dict.fromkeys(filter(None, map(str.strip, self.watch.split(",")))))

    @property
    def ranked_grains(self) -> tuple[str, ...]:
        """Names of the grains whose leaders are kept."""
        if self.top_grains == "none":
            return ()
        return tuple(filter(None, map(str.strip, self.top_grains.split(","))))

    @property
    def hosts(self) -> frozenset[str]:
        """Host names, in lower case, by which a proxy asks for the web port."""
        return frozenset(filter(None, map(str.strip, self.web_names.lower().split(","))))

    def secret(self, name: str) -> str:
        """Read the secret of a setting that names a file; "" when it names none. SettingsError."""
        path: str = getattr(self, name)
        try:
            return read_secret(path) if path else ""
        except UnusableSecretError as error:
            _refuse(name, path, str(error))

    @property
    def is_exactly_once(self) -> bool:
        """True when each checkpoint is one Kafka transaction."""
        return self.guarantee == "exactly_once"

    @property
    def is_oauth(self) -> bool:
        """True when a token takes the place of user and password."""
        return self.security_protocol.startswith("SASL") and self.sasl_mechanism == "OAUTHBEARER"

    @property
    def result_topics(self) -> tuple[str, str, str, str]:
        """Updates, windows, late, rejected."""
        return self.updates_topic, self.windows_topic, self.late_topic, self.rejected_topic

    def fingerprint(self, partitions: int) -> dict[str, str | int]:
        """Everything that a checkpoint depends on; another value means another result.

        Release 0.1.0 demands those that are always there. A later one at its default adds nothing.
        """
        return {**self.rules.fingerprint(), "partitions": partitions, "guarantee": self.guarantee}

    def differences(
        self, found: Mapping[str, str | int], partitions: int
    ) -> list[tuple[str, str | int | None, str | int | None]]:
        """Compare with the fingerprint of a checkpoint; -> (name, its value, ours), by name."""
        return differences(found, self.fingerprint(partitions))

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read NETFOLLOWERS_* variables. SettingsError: a bad value, or a variable there is not."""
        unknown = {name for name in environ if name.startswith(PREFIX)} - SETTINGS_VARIABLES.keys()
        if unknown:
            message = f"{min(unknown)} is not a setting; see `netfollowers worker --help`"
            raise SettingsError(message)
        found: dict[str, Any] = {}
        for setting in fields(cls):
            variable = PREFIX + setting.name.upper()
            text = environ.get(variable, "")
            if text != "":
                found[setting.name] = _parse(variable, text, type(setting.default))
        settings = cls(**found)
        settings.validate()
        return settings

    def validate(self) -> None:
        """Refuse what cannot work. SettingsError names the variable."""
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                _refuse(name, getattr(self, name), f"one of {', '.join(allowed)}")
        for name, (right, is_right) in _LIMITS.items():
            if not is_right(getattr(self, name)):
                _refuse(name, getattr(self, name), right)
        try:
            _ = self.rules
        except ValueError as error:
            _refuse("grains", self.grains, str(error))
        names = {grain.name for grain in self.rules.grains}
        if not set(self.ranked_grains) <= names | {"1h"}:
            _refuse("top_grains", self.top_grains, f"some of {', '.join(sorted(names))}")
        topics = (self.input_topic, *self.result_topics)
        if len(set(topics)) != len(topics) or not all(topics):
            _refuse("input_topic", ", ".join(topics), "five different topics")
        self._validate_security()

    def _validate_security(self) -> None:
        for name in _FILES:
            path = getattr(self, name)
            if path and not (Path(path).is_file() and os.access(path, os.R_OK)):
                _refuse(name, path, "a file that exists and can be read")
        for name in _SECRETS:
            if getattr(self, name):
                self.secret(name)
        if self.security_protocol.startswith("SASL"):
            name = "sasl_oauth_token_file" if self.is_oauth else "sasl_username"
            if not getattr(self, name):
                _refuse(name, "", f"set with {self.security_protocol} and {self.sasl_mechanism}")


def _grain(text: str) -> Grain:
    """'1m:30s:15m', or a default grain by its name alone."""
    known = {default.split(":")[0]: default for default in DEFAULT_GRAINS}
    return Grain.parse(known.get(text.strip(), text.strip()))


def _parse(variable: str, text: str, kind: type) -> object:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        right = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        message = f"{variable}={text!r}: should be {right}"
        raise SettingsError(message) from None


def is_web_address(url: str) -> bool:
    """Tell whether it is http://HOST:PORT or https://HOST:PORT, and nothing more."""
    found = _WEB_ADDRESS.fullmatch(url)
    return found is not None and 0 < int(found["port"]) <= _LAST_PORT


def _refuse(name: str, value: object, right: str) -> NoReturn:
    message = f"{PREFIX}{name.upper()}={value!r}: should be {right}"
    raise SettingsError(message)


_ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "guarantee": ("exactly_once", "at_least_once"),
    "security_protocol": ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    "sasl_mechanism": ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"),
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("text", "json"),
}
_SECRETS: Final = (
    "api_token_file",
    "peer_secret_file",
    "sasl_password_file",
    "sasl_oauth_token_file",
    "ssl_key_password_file",
)
_WEB_ADDRESS: Final = re.compile(
    r"https?://([\w.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}(%\w{1,15})?\]):(?P<port>[0-9]{1,5})"
)
_LAST_PORT: Final = 65_535
_FILES: Final = (
    "api_token_file",
    "peer_secret_file",
    "sasl_password_file",
    "sasl_oauth_token_file",
    "ssl_cafile",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_key_password_file",
)
_Limit = tuple[str, Callable[[Any], bool]]
_LIMITS: Final[dict[str, _Limit]] = {
    "brokers": (
        "HOST:PORT[,HOST:PORT...]",
        lambda text: all(part.rpartition(":")[2].isdigit() for part in text.split(",")),
    ),
    "app_id": ("a name", bool),
    "partitions": ("from 1 to 10000", lambda n: 1 <= n <= 10_000),  # noqa: PLR2004
    "replication_factor": ("at least 1", lambda n: n >= 1),
    "min_isr": ("at least 1", lambda n: n >= 1),
    "flush_interval_s": ("from 0.01 to 10", lambda s: 0.01 <= s <= 10),  # noqa: PLR2004
    "flush_records": ("at least 1", lambda n: n >= 1),
    "session_timeout_s": ("from 6 to 60", lambda s: 6 <= s <= 60),  # noqa: PLR2004
    "heartbeat_interval_s": ("from 0.1 to 20", lambda s: 0.1 <= s <= 20),  # noqa: PLR2004
    "transaction_timeout_s": ("from 5 to 900", lambda s: 5 <= s <= 900),  # noqa: PLR2004
    "stuck_after_s": ("at least 5", lambda s: s >= 5),  # noqa: PLR2004
    "batch_records": ("at least 1", lambda n: n >= 1),
    "fetch_bytes": ("at least 1024", lambda n: n >= 1_024),  # noqa: PLR2004
    "web_port": ("a port, 0 to 65535", lambda n: 0 <= n <= 65_535),  # noqa: PLR2004
    "advertised_url": (
        "http://HOST:PORT, without a path",
        lambda url: not url or is_web_address(url),
    ),
    "web_names": (
        "host names, comma separated, without ports",
        lambda text: re.fullmatch(r"[A-Za-z0-9._, -]*", text) is not None,
    ),
    "api_rate": ("at least 5", lambda rate: rate >= 5),  # noqa: PLR2004
    "api_streams": ("at least 0", lambda n: n >= 0),
    "api_connections": ("at least 1", lambda n: n >= 1),
    "watch": ("at most 1000 account ids", lambda text: text.count(",") < _MOST_WATCHED),
    "top_accounts": ("from 0 to 50", lambda n: 0 <= n <= DEPTH),
    "account_series_limit": ("at least 0", lambda n: n >= 0),
}

_MEANINGS: Final[dict[str, str]] = {
    "brokers": "bootstrap addresses, comma separated",
    "app_id": "consumer group id, and prefix of the transactional ids",
    "input_topic": "topic of the follow events",
    "updates_topic": "topic of the table: compacted, one row per account",
    "windows_topic": "topic of the final window results and their revisions",
    "late_topic": "topic of the events that came too late for a window",
    "rejected_topic": "topic of the records that are not valid events",
    "partitions": "number of partitions per topic, set by `topics create`",
    "replication_factor": "number of replicas per topic, set by `topics create` (3 in production)",
    "min_isr": "min.insync.replicas per topic, set by `topics create` (2 in production)",
    "input_retention_days": "retention of the input topic in days, set by `topics create`",
    "results_retention_days": (
        "retention of windows, late and rejected topics in days, set by `topics create`"
    ),
    "guarantee": "`exactly_once`, or `at_least_once` for brokers without transactions",
    "flush_interval_s": "seconds between two checkpoints",
    "flush_records": "number of records after which a checkpoint is made earlier",
    "grains": "size:grace:keep of each window length, or the name of a default grain",
    "max_ahead_s": (
        "seconds that an event time may be ahead of the log timestamp; beyond, the log timestamp "
        "counts"
    ),
    "dedup_generation": (
        "records per generation of event ids; duplicates are found in the newest one to two"
    ),
    "expire_after_days": "days without events after which an account is forgotten (0: never)",
    "sweep_buckets": "number of parts in which the accounts are searched for windows to close",
    "instance_id": (
        "stable, unique name of the worker (static membership): a restart then causes no rebalance"
    ),
    "session_timeout_s": "seconds of silence after which a worker loses its partitions",
    "heartbeat_interval_s": (
        "seconds between group heartbeats; a worker notices a rebalance at its next one"
    ),
    "transaction_timeout_s": "seconds without a broker after which the worker ends",
    "stuck_after_s": "seconds with lag and without progress after which the worker ends",
    "batch_records": "largest number of records in a batch",
    "fetch_bytes": "largest number of bytes per fetch and partition",
    "web_host": "address on which the page, /api, /live, /ready and /metrics are served",
    "web_port": (
        "port on which the page, /api, /live, /ready and /metrics are served (0: any free port)"
    ),
    "advertised_url": (
        "URL under which other workers reach this web port (empty: host name and port)"
    ),
    "web_names": (
        "further host names that requests may use, such as the name of a proxy, comma separated"
    ),
    "api_token_file": "file with the bearer token that /api requires (empty: no token is required)",
    "peer_secret_file": (
        "file with the secret by which workers authenticate each other (empty: the API token)"
    ),
    "api_rate": "API requests per second and client address; a burst may have twice as many",
    "api_streams": "largest number of /api/stream clients; one address may have half of them",
    "api_connections": "largest number of connections; one address may have half of them",
    "log_level": "debug, info, warning or error",
    "log_format": "`text` (key=value) or `json`; each event is one line",
    "watch": "account ids that always get metrics of their own, comma separated, at most 1000",
    "top_accounts": (
        "number of gainers and of losers of the current hour that get metrics (0: none)"
    ),
    "top_grains": (
        "grains with a leaderboard, comma separated, or `none`; each makes checkpoints a little "
        "slower"
    ),
    "account_series_limit": "largest number of per-account series that a worker exports",
    "security_protocol": "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    "sasl_mechanism": "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
    "sasl_username": "SASL user name",
    "sasl_password": "SASL password",
    "sasl_password_file": "file with the SASL password, in place of the variable above",
    "sasl_oauth_token_file": "file with the OAUTHBEARER token; it is read for every connection",
    "ssl_cafile": "file with CA certificates, PEM",
    "ssl_certfile": "file with the client certificate, PEM",
    "ssl_keyfile": "file with the client key, PEM",
    "ssl_key_password": "password of the client key",
    "ssl_key_password_file": (
        "file with the password of the client key, in place of the variable above"
    ),
    "ssl_check_hostname": "`true` or `false`: check that the broker's certificate names its host",
}

SETTINGS_VARIABLES: Final[Mapping[str, Variable]] = {
    PREFIX + setting.name.upper(): Variable(
        str(setting.default).lower() if setting.type == "bool" else str(setting.default),
        _MEANINGS[setting.name],
    )
    for setting in fields(Settings)
}
