"""Settings come from the environment, once; an error says which variable and what is right."""

from __future__ import annotations

import json
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from service.declarations import declaration_of
from service.settings import PREFIX, SETTINGS_VARIABLES, Settings, SettingsError


def test_an_empty_environment_means_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()


def test_every_setting_has_a_variable_and_every_variable_a_meaning() -> None:
    names = {PREFIX + setting.name.upper() for setting in fields(Settings)}
    assert names == set(SETTINGS_VARIABLES)
    assert all(variable.meaning for variable in SETTINGS_VARIABLES.values())


def test_every_variable_is_read() -> None:
    for name, variable in SETTINGS_VARIABLES.items():
        text = variable.default
        if name.endswith(("_FILE", "FILE")) or not text:
            continue
        assert Settings.from_env({name: text}) == Settings(), name


def test_other_variables_do_not_matter() -> None:
    assert Settings.from_env({"HOME": "x", "KAFKA": "y"}) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("PARTITIONS", "many", "a whole number"),
        ("PARTITIONS", "0", "from 1 to 10000"),
        ("FLUSH_INTERVAL_S", "soon", "a number"),
        ("FLUSH_INTERVAL_S", "0", "from 0.01 to 10"),
        ("FLUSH_INTERVAL_S", "nan", "from 0.01 to 10"),
        ("GUARANTEE", "at_most_once", "exactly_once, at_least_once"),
        ("BROKERS", "localhost", "HOST:PORT"),
        ("GRAINS", "1m", None),
        ("GRAINS", "5m", "size:grace:keep"),
        ("GRAINS", "1m:30s:10s", "keep must not be shorter than grace"),
        ("GRAINS", "1m:30s:2h", "at most 64"),
        ("GRAINS", "1m,1m", "different lengths"),
        ("MAX_AHEAD_S", "31", "smallest grace"),
        ("MAX_AHEAD_S", "inf", "a finite number"),
        ("EXPIRE_AFTER_DAYS", "nan", "a finite number"),
        ("EXPIRE_AFTER_DAYS", "1", "0, or at least 3: the longest size + keep"),
        ("DEDUP_GENERATION", "0", "at least 1"),
        ("LATE_TOPIC", "follow-events", "another topic than that of NETFOLLOWERS_INPUT_TOPIC"),
        ("INPUT_TOPIC", "net-follower-updates", "than that of NETFOLLOWERS_UPDATES_TOPIC"),
        ("INPUT_TOPIC", "follow events", "letters, digits"),
        ("STUCK_AFTER_S", "inf", "a finite number, at least 5"),
        ("API_RATE", "nan", "a finite number, at least 5"),
        ("INPUT_RETENTION_DAYS", "inf", "a finite number above 0"),
        ("RESULTS_RETENTION_DAYS", "-1", "a finite number above 0"),
        ("HEARTBEAT_INTERVAL_S", "20", "below NETFOLLOWERS_SESSION_TIMEOUT_S (20.0)"),
        ("MIN_ISR", "2", "at most NETFOLLOWERS_REPLICATION_FACTOR (1)"),
        ("TOP_GRAINS", "1w", "some of 1d, 1h, 1m"),
        *(
            ("BROKERS", value, "HOST:PORT[,HOST:PORT...], an IPv6 address in brackets")
            for value in (
                *("kafka://h:1", "SASL_SSL://h:9092", "a:1;b:2", ":9092", "h:99999", "h:0", "h:"),
                *("2001:db8::10", "2001:db8::10:9092", "h:9092,", "h:9092\r", "h:9092 i:9092", "h"),
            )
        ),
        ("WEB_HOST", "http://0.0.0.0", "a host name or an address, without a port"),
        ("WEB_HOST", "0.0.0.0:6066", "a host name or an address, without a port"),
        ("WEB_PORT", "tcp://10.0.35.234:6066", "enableServiceLinks: false"),
        ("SECURITY_PROTOCOL", "TLS", "SASL_SSL"),
        ("SASL_MECHANISM", "GSSAPI", "SCRAM-SHA-512"),
        ("SSL_CHECK_HOSTNAME", "yes", "true or false"),
        ("SSL_CAFILE", "no-such-file", "a file that exists"),
        ("SASL_OAUTH_TOKEN_FILE", "no-such-file", "a file that exists"),
        ("SSL_KEY_PASSWORD_FILE", "no-such-file", "a file that exists"),
        ("WEB_PORT", "70000", "0 to 65535"),
        ("SESSION_TIMEOUT_S", "1", "from 6 to 60"),
        ("LOG_LEVEL", "loud", "debug, info, warning, error"),
    ],
)
def test_an_error_names_the_variable_its_value_and_what_is_right(
    name: str, value: str, right: str | None
) -> None:
    if right is None:
        Settings.from_env({PREFIX + name: value})
        return
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({PREFIX + name: value})
    assert str(caught.value).startswith(f"{PREFIX}{name}=")
    assert right in str(caught.value)


def test_a_variable_that_is_no_setting_is_an_error() -> None:
    with pytest.raises(SettingsError, match="NETFOLLOWERS_BROKER is not a setting; did you mean N"):
        Settings.from_env({"NETFOLLOWERS_BROKER": "127.0.0.1:9092"})
    with pytest.raises(SettingsError, match="see `netfollowers worker --help`"):
        Settings.from_env({"NETFOLLOWERS_PORT_OF_THE_PAGE": "tcp://10.0.0.1:6066"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "tcp://10.0.0.1:6066"),
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT", "6066"),
        ("SERVICE_PORT_HTTP", "6066"),
        ("PORT_6066_TCP", "tcp://10.0.0.1:6066"),
        ("PORT_6066_TCP_PROTO", "tcp"),
        ("PORT_6066_TCP_PORT", "6066"),
        ("PORT_6066_TCP_ADDR", "10.0.0.1"),
        ("WEB_SERVICE_HOST", "fd00::1"),
        ("METRICS_PORT", "tcp://[fd00::1]:6066"),
        ("NAME", "/stack-worker-1/netfollowers"),
        ("ENV_LANG", "C.UTF-8"),
    ],
)
def test_what_kubernetes_and_docker_make_for_a_service_is_no_setting(name: str, value: str) -> None:
    assert Settings.from_env({PREFIX + name: value}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "6066"), ("SERVICE_PORT", "http"), ("NAME", "netfollowers")]
)
def test_what_only_looks_so_by_name_is_an_error(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"NETFOLLOWERS_{name} is not a setting"):
        Settings.from_env({PREFIX + name: value})


@pytest.mark.parametrize(
    "brokers",
    [
        *("localhost:9092", "a:1,b:65535", "a:1, b:2", "[::1]:19999", "[fe80::1%eth0]:9092"),
        *("kafka_1.example.com:9092", "10.0.0.1:9092"),
    ],
)
def test_addresses_of_every_kind_are_taken(brokers: str) -> None:
    assert Settings.from_env({"NETFOLLOWERS_BROKERS": brokers}).brokers == brokers


def test_graces_below_the_default_of_max_ahead_are_the_fault_of_the_grains() -> None:
    with pytest.raises(SettingsError, match=r"^NETFOLLOWERS_GRAINS=.*at least NETFOLLOWERS_MAX_AH"):
        Settings.from_env({"NETFOLLOWERS_GRAINS": "1m:5s:15m"})


def test_a_client_key_needs_its_certificate(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("-")
    with pytest.raises(SettingsError, match=r"^NETFOLLOWERS_SSL_CERTFILE=''"):
        Settings.from_env({"NETFOLLOWERS_SSL_KEYFILE": str(tmp_path / "key.pem")})


def test_a_byte_order_mark_is_no_part_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbfs3cret\r\n")
    assert Settings(api_token_file=str(tmp_path / "token")).secret("api_token_file") == "s3cret"
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbf\r\n")
    with pytest.raises(SettingsError, match="it is empty"):
        Settings(api_token_file=str(tmp_path / "token")).validate()


@pytest.mark.parametrize(
    ("mechanism", "needs"),
    [
        ("PLAIN", "NETFOLLOWERS_SASL_USERNAME"),
        ("SCRAM-SHA-512", "NETFOLLOWERS_SASL_USERNAME"),
        ("OAUTHBEARER", "NETFOLLOWERS_SASL_OAUTH_TOKEN_FILE"),
    ],
)
def test_a_mechanism_names_what_it_needs(mechanism: str, needs: str) -> None:
    with pytest.raises(SettingsError, match=needs):
        Settings.from_env(
            {
                "NETFOLLOWERS_SECURITY_PROTOCOL": "SASL_SSL",
                "NETFOLLOWERS_SASL_MECHANISM": mechanism,
            }
        )


def test_a_secret_is_not_in_the_representation(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from-file\n")
    settings = Settings.from_env(
        {
            "NETFOLLOWERS_SASL_PASSWORD": "from-variable",
            "NETFOLLOWERS_SSL_KEY_PASSWORD": "of-key",
            "NETFOLLOWERS_SASL_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )
    assert "from-variable" not in repr(settings)
    assert "of-key" not in repr(settings)


OTHER = {"grains": "1m:20s:15m", "guarantee": "at_least_once", "expire_after_days": 90.0}
"""Another value, of settings for which not every text or number will do."""


def another(one: Field[Any]) -> Any:
    """A value that is not the default."""
    if one.name in OTHER:
        return OTHER[one.name]
    default: Any = one.default
    return not default if isinstance(default, bool) else default + type(default)(1)


@pytest.mark.parametrize("one", fields(Settings), ids=lambda one: one.name)
def test_a_setting_changes_the_fingerprint_exactly_if_its_declaration_says_so(
    one: Field[Any],
) -> None:
    declared = declaration_of(one)
    identity = {declared.identity} - {""} if declared else set()
    changed = Settings(**{one.name: another(one)})
    before, after = Settings().fingerprint(4), changed.fingerprint(4)
    names = before.keys() | after.keys()
    assert {name for name in names if before.get(name) != after.get(name)} == identity
    assert {name for name, *_ in changed.differences({}, 4)} == identity


def test_the_fingerprint_is_byte_for_byte_what_checkpoints_of_earlier_versions_carry() -> None:
    assert json.dumps(Settings().fingerprint(4)) == (
        '{"grains": "1m:30000:900000,1h:60000:10800000,1d:300000:172800000", '
        '"max_ahead_ms": 10000, "dedup_generation": 131072, "sweep_buckets": 1024, '
        '"partitions": 4, "guarantee": "exactly_once"}'
    )
    other = Settings(
        grains="1m:20s:15m",
        max_ahead_s=5.0,
        dedup_generation=10,
        sweep_buckets=8,
        expire_after_days=90.0,
        guarantee="at_least_once",
    )
    assert json.dumps(other.fingerprint(8)) == (
        '{"grains": "1m:20000:900000", "max_ahead_ms": 5000, "dedup_generation": 10, '
        '"sweep_buckets": 8, "expire_after_ms": 7776000000, "partitions": 8, '
        '"guarantee": "at_least_once"}'
    )
    assert Settings(expire_after_days=1e-12).fingerprint(4) == Settings().fingerprint(4)


def test_the_partition_count_is_in_the_fingerprint() -> None:
    assert Settings().fingerprint(4) != Settings().fingerprint(8)
