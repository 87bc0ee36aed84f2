"""All settings, read from the environment once.

`Settings.from_env(os.environ)` is the only reader. Each setting is declared once: default, limit,
meaning, and whether it changes results. docs/operate/settings.md and the messages of errors are
made from that. An error names the variable, its value and what would be right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from ipaddress import IPv6Address
from typing import Any, Final, Literal, NoReturn

from service.contract.topics import TOPICS, TopicNames
from service.counting.leaders import DEPTH
from service.counting.rules import DEFAULT_GRAINS, Grain, Rules, differences
from service.declarations import (
    ANYTHING,
    FILE,
    NAME,
    PASSWORD,
    SECRET_FILE,
    Declaration,
    Limit,
    at_least,
    between,
    declaration_of,
    one_of,
    setting,
)
from service.errors import UsageError
from service.secret_files import UnusableSecretError, read_secret
from service.service_links import is_link_url, is_service_link
from service.setting_pairs import contradictions

PREFIX: Final = "NETFOLLOWERS_"
Guarantee = Literal["exactly_once", "at_least_once"]
_MOST_WATCHED: Final = 1_000
_LAST_PORT: Final = 65_535
_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?://)?([\w.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}(%\w{1,15})?\]):(?P<port>[0-9]{1,5})"
)


class SettingsError(UsageError):
    """The value of a variable cannot be used. The text says what is allowed."""


def is_web_address(url: str) -> bool:
    """Tell whether `url` is http://HOST:PORT or https://HOST:PORT, and nothing more."""
    return _is_address(url, has_scheme=True)


def is_broker_address(text: str) -> bool:
    """Tell whether `text` is HOST:PORT; an IPv6 address stands in brackets."""
    return _is_address(text.strip(" "), has_scheme=False)


def _is_address(text: str, *, has_scheme: bool) -> bool:
    found = _ADDRESS.fullmatch(text)
    return (
        found is not None
        and (found["scheme"] is not None) == has_scheme
        and 0 < int(found["port"]) <= _LAST_PORT
    )


_ADDRESSES: Final = Limit(
    "HOST:PORT[,HOST:PORT...], an IPv6 address in brackets, without a scheme",
    lambda text: all(map(is_broker_address, text.split(","))),
)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


_HOST: Final = Limit(
    "a host name or an address, without a port",
    lambda text: re.fullmatch(r"[\w.-]{1,253}", text) is not None or _is_ipv6(text),
)
_TOPIC: Final = Limit(
    "a name of 1 to 249 letters, digits, `.`, `_` and `-`",
    lambda text: (
        re.fullmatch(r"[A-Za-z0-9._-]{1,249}", text) is not None and text not in {".", ".."}
    ),
)
_DAYS: Final = Limit("a finite number above 0", lambda days: 0 < days < math.inf)
_PORT: Final = Limit(f"a port, 0 to {_LAST_PORT}", between(0, _LAST_PORT).is_right)
_URL: Final = Limit("http://HOST:PORT, without a path", lambda url: not url or is_web_address(url))
_HOST_NAMES: Final = Limit(
    "host names, comma separated, without ports",
    lambda text: re.fullmatch(r"[A-Za-z0-9._, -]*", text) is not None,
)
_WATCHED: Final = Limit(
    f"at most {_MOST_WATCHED} account ids", lambda text: text.count(",") < _MOST_WATCHED
)


@dataclass(frozen=True)
class KafkaGroup:
    """The brokers, and the name by which a deployment commits."""

    brokers: str = setting("127.0.0.1:9092", _ADDRESSES, "bootstrap addresses, comma separated")
    app_id: str = setting(
        "net-followers", NAME, "consumer group id, and prefix of the transactional ids"
    )


@dataclass(frozen=True)
class Settings(TopicNames, KafkaGroup):
    """Frozen. Each field is the variable of the same name, in lower case, without the prefix.

    The names of the topics come from `service/contract/topics.py`.
    """

    partitions: int = setting(
        4, between(1, 10_000), "number of partitions per topic, set by `topics create`"
    )
    replication_factor: int = setting(
        1, at_least(1), "number of replicas per topic, set by `topics create` (3 in production)"
    )
    min_isr: int = setting(
        1, at_least(1), "min.insync.replicas per topic, set by `topics create` (2 in production)"
    )
    input_retention_days: float = setting(
        30.0, _DAYS, "retention of the input topic in days, set by `topics create`"
    )
    results_retention_days: float = setting(
        30.0,
        _DAYS,
        "retention of windows, late and rejected topics in days, set by `topics create`",
    )
    guarantee: Guarantee = setting(
        "exactly_once",
        one_of("exactly_once", "at_least_once"),
        "`exactly_once`, or `at_least_once` for brokers without transactions",
        identity="guarantee",
    )
    flush_interval_s: float = setting(0.25, between(0.01, 10), "seconds between two checkpoints")
    flush_records: int = setting(
        20_000, at_least(1), "number of records after which a checkpoint is made earlier"
    )
    grains: str = setting(
        ",".join(DEFAULT_GRAINS),
        ANYTHING,
        "size:grace:keep of each window length, or the name of a default grain",
        identity="grains",
    )
    max_ahead_s: float = setting(
        10.0,
        at_least(0),
        "seconds that an event time may be ahead of the log timestamp; beyond, "
        "the log timestamp counts",
        identity="max_ahead_ms",
    )
    dedup_generation: int = setting(
        131_072,
        at_least(1),
        "records per generation of event ids; duplicates are found in the newest one to two",
        identity="dedup_generation",
    )
    expire_after_days: float = setting(
        0.0,
        at_least(0),
        "days without events after which an account is forgotten (0: never)",
        identity="expire_after_ms",
    )
    sweep_buckets: int = setting(
        1_024,
        at_least(1),
        "number of parts in which the accounts are searched for windows to close",
        identity="sweep_buckets",
    )
    instance_id: str = setting(
        "",
        ANYTHING,
        "stable, unique name of the worker (static membership): a restart then causes no rebalance",
    )
    session_timeout_s: float = setting(
        20.0, between(6, 60), "seconds of silence after which a worker loses its partitions"
    )
    heartbeat_interval_s: float = setting(
        1.0,
        between(0.1, 20),
        "seconds between group heartbeats; a worker notices a rebalance at its next one",
    )
    transaction_timeout_s: float = setting(
        60.0, between(5, 900), "seconds without a broker after which the worker ends"
    )
    stuck_after_s: float = setting(
        60.0, at_least(5), "seconds with lag and without progress after which the worker ends"
    )
    batch_records: int = setting(5_000, at_least(1), "largest number of records in a batch")
    fetch_bytes: int = setting(
        1_048_576, at_least(1_024), "largest number of bytes per fetch and partition"
    )
    web_host: str = setting(
        "127.0.0.1",
        _HOST,
        "address on which the page, /api, /live, /ready and /metrics are served",
    )
    web_port: int = setting(
        6066,
        _PORT,
        "port on which the page, /api, /live, /ready and /metrics are served (0: any free port)",
    )
    advertised_url: str = setting(
        "", _URL, "URL under which other workers reach this web port (empty: host name and port)"
    )
    web_names: str = setting(
        "",
        _HOST_NAMES,
        "further host names that requests may use, such as the name of a proxy, comma separated",
    )
    api_token_file: str = setting(
        "",
        SECRET_FILE,
        "file with the bearer token that /api requires (empty: no token is required)",
    )
    peer_secret_file: str = setting(
        "",
        SECRET_FILE,
        "file with the secret by which workers authenticate each other (empty: the API token)",
    )
    api_rate: float = setting(
        200.0,
        at_least(5),
        "API requests per second and client address; a burst may have twice as many",
    )
    api_streams: int = setting(
        200, at_least(0), "largest number of /api/stream clients; one address may have half of them"
    )
    api_connections: int = setting(
        1_000, at_least(1), "largest number of connections; one address may have half of them"
    )
    log_level: str = setting(
        "info", one_of("debug", "info", "warning", "error"), "debug, info, warning or error"
    )
    log_format: str = setting(
        "text", one_of("text", "json"), "`text` (key=value) or `json`; each event is one line"
    )
    watch: str = setting(
        "",
        _WATCHED,
        "account ids that always get metrics of their own (0 without events), comma separated, "
        "at most 1000",
    )
    top_accounts: int = setting(
        10,
        between(0, DEPTH),
        "number of gainers and of losers of the current hour that get metrics (0: none)",
    )
    top_grains: str = setting(
        "1h",
        ANYTHING,
        "grains with a leaderboard, comma separated, or `none`; each makes "
        "checkpoints a little slower",
    )
    account_series_limit: int = setting(
        15_000, at_least(0), "largest number of per-account series that a worker exports"
    )
    security_protocol: str = setting(
        "PLAINTEXT",
        one_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
        "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    )
    sasl_mechanism: str = setting(
        "PLAIN",
        one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"),
        "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
    )
    sasl_username: str = setting("", ANYTHING, "SASL user name")
    sasl_password: str = setting("", PASSWORD, "SASL password")
    sasl_password_file: str = setting(
        "", SECRET_FILE, "file with the SASL password, in place of the variable above"
    )
    sasl_oauth_token_file: str = setting(
        "", SECRET_FILE, "file with the OAUTHBEARER token; it is read for every connection"
    )
    ssl_cafile: str = setting("", FILE, "file with CA certificates, PEM")
    ssl_certfile: str = setting("", FILE, "file with the client certificate, PEM")
    ssl_keyfile: str = setting("", FILE, "file with the client key, PEM")
    ssl_key_password: str = setting("", PASSWORD, "password of the client key")
    ssl_key_password_file: str = setting(
        "", SECRET_FILE, "file with the password of the client key, in place of the variable above"
    )
    ssl_check_hostname: bool = setting(
        True, ANYTHING, "`true` or `false`: check that the broker's certificate names its host"
    )

    @property
    def rules(self) -> Rules:
        """The settings that change results, in the form of the engine."""
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
        """Host names of proxies in front of the web port, in lower case."""
        return frozenset(filter(None, map(str.strip, self.web_names.lower().split(","))))

    def secret(self, name: str) -> str:
        """Read the secret of a setting that names a file; "" if it names no file. SettingsError."""
        path: str = getattr(self, name)
        try:
            return read_secret(path) if path else ""
        except UnusableSecretError as error:
            _refuse(name, path, str(error))

    @property
    def is_exactly_once(self) -> bool:
        """True if each checkpoint is one Kafka transaction."""
        return self.guarantee == "exactly_once"

    @property
    def is_oauth(self) -> bool:
        """True if a token replaces user and password."""
        return self.security_protocol.startswith("SASL") and self.sasl_mechanism == "OAUTHBEARER"

    def fingerprint(self, partitions: int) -> dict[str, str | int]:
        """Return everything that a checkpoint depends on. Another value means another result.

        Release 0.1.0 requires the entries that are always there. A later setting at its default
        adds no entry.
        """
        rules = self.rules
        found = {**rules.fingerprint(), "partitions": partitions, "guarantee": self.guarantee}
        for one in fields(self):
            name, value = _DECLARATIONS[one.name].identity, getattr(self, one.name)
            if name and not hasattr(rules, name) and value != one.default:
                found[name] = value
        return found

    def differences(
        self, found: Mapping[str, str | int], partitions: int
    ) -> list[tuple[str, str | int | None, str | int | None]]:
        """Compare with the fingerprint of a checkpoint.

        Return (name, its value, own value), by name.

        A name that one of the two lacks is at its default. So no deployment refuses to start
        because of a new setting, or of one that a later version no longer writes.
        """
        return differences(found, self.fingerprint(partitions), self.defaults(partitions))

    def defaults(self, partitions: int) -> dict[str, str | int]:
        """Return what a fingerprint that lacks a setting means by it."""
        return _identities_at_default() | Settings().fingerprint(partitions)

    def with_prefix(self, prefix: str, **changes: Any) -> Settings:  # noqa: ANN401
        """Return the same settings with a separate app id and topics: PREFIX-follow-events-late.

        `changes`: as in `dataclasses.replace`.
        """
        names = {one.setting: f"{prefix}-{one.default_name}" for one in TOPICS}
        return replace(self, **{"app_id": prefix, **names, **changes})

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read NETFOLLOWERS_* variables. SettingsError: a bad value, or an unknown variable."""
        for name, value in sorted(environ.items()):
            is_ours = name.startswith(PREFIX) and not is_service_link(name, value)
            if is_ours and name not in SETTINGS_VARIABLES:
                raise SettingsError(_unknown(name))
        found: dict[str, Any] = {}
        for one in fields(cls):
            variable = PREFIX + one.name.upper()
            text = environ.get(variable, "")
            if text != "":
                found[one.name] = _parse(variable, text, type(one.default))
        settings = cls(**found)
        settings.validate()
        return settings

    def validate(self) -> None:
        """Refuse settings that cannot work. SettingsError names the variable."""
        for name, declared in _DECLARATIONS.items():
            value = getattr(self, name)
            if not declared.limit.is_right(value):
                _refuse(name, value, declared.limit.right)
            if declared.limit is SECRET_FILE:
                self.secret(name)
        try:
            grains = tuple(_grain(text) for text in self.grains.split(","))
            Rules(grains=grains, max_ahead_ms=0)
        except ValueError as error:
            _refuse("grains", self.grains, str(error))
        for name, right in contradictions(self, grains):
            _refuse(name, getattr(self, name), right)
        _ = self.rules


def _grain(text: str) -> Grain:
    """Parse '1m:30s:15m', or the name of a default grain."""
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
        if is_link_url(text):
            message += (
                ". Kubernetes makes this variable for a Service of that name: give the pod "
                "enableServiceLinks: false, or the Service another name"
            )
        raise SettingsError(message) from None


def _unknown(name: str) -> str:
    near = get_close_matches(name, SETTINGS_VARIABLES, n=1, cutoff=0.8)
    hint = f"did you mean {near[0]}?" if near else "see `netfollowers worker --help`"
    return f"{name} is not a setting; {hint}"


def _refuse(name: str, value: object, right: str) -> NoReturn:
    message = f"{PREFIX}{name.upper()}={value!r}: should be {right}"
    raise SettingsError(message)


def _identities_at_default() -> dict[str, str | int]:
    """Return the default of every setting that changes results, by its name in the fingerprint."""
    settings, rules = Settings(), Rules()
    return {
        one.identity: getattr(rules, one.identity, getattr(settings, name))
        for name, one in _DECLARATIONS.items()
        if one.identity
    }


_DECLARATIONS: Final[Mapping[str, Declaration]] = {
    topic.setting: Declaration(_TOPIC, topic.meaning) for topic in TOPICS
} | {
    one.name: declared for one in fields(Settings) if (declared := declaration_of(one)) is not None
}


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: its default as text, and what it means."""

    default: str
    meaning: str


def _variable(default: object, meaning: str) -> Variable:
    text = str(default)
    return Variable(text.lower() if isinstance(default, bool) else text, meaning)


SETTINGS_VARIABLES: Final[Mapping[str, Variable]] = {
    PREFIX + one.name.upper(): _variable(one.default, _DECLARATIONS[one.name].meaning)
    for one in fields(Settings)
}
