"""Settings come from the environment, once; an error says which variable and what is right."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

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
        ("LATE_TOPIC", "follow-events", "5 different topics"),
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
    assert PREFIX + name in str(caught.value) or name in {"LATE_TOPIC", "MAX_AHEAD_S"}
    assert right in str(caught.value)


def test_a_variable_that_is_no_setting_is_an_error() -> None:
    with pytest.raises(SettingsError, match="NETFOLLOWERS_BROKER is not a setting"):
        Settings.from_env({"NETFOLLOWERS_BROKER": "127.0.0.1:9092"})


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


def test_the_fingerprint_has_everything_that_changes_results() -> None:
    base = Settings()
    for changed in (
        Settings(grains="1m:20s:15m,1h,1d"),
        Settings(max_ahead_s=5.0),
        Settings(dedup_generation=10),
        Settings(sweep_buckets=10),
        Settings(guarantee="at_least_once"),
    ):
        assert changed.fingerprint(4) != base.fingerprint(4)
    assert base.fingerprint(4) != base.fingerprint(8)
    assert Settings(flush_interval_s=1.0, batch_records=5).fingerprint(4) == base.fingerprint(4)
