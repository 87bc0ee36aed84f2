"""docker-compose.yml: confined, checked, without passwords; Prometheus and Grafana fit in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from deploy.stack.configuration import WORKERS
from service.cli import build_parser
from tests.unit.deploy.test_compose import COMPOSE, OURS, ROOT, SERVICES, environment, rest_of


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined_and_has_a_limit_of_memory(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert "/tmp" in service.get("tmpfs", []) or name == "prometheus"  # noqa: S108


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_that_stays_has_a_health_check(name: str) -> None:
    check = SERVICES[name].get("healthcheck", {})

    if name in WORKERS:
        assert rest_of("HEALTHCHECK")  # the image's own
    else:
        assert check.get("disable") or {"test", "interval", "timeout", "retries"} <= check.keys()
    assert SERVICES[name]["restart"] == ("no" if check.get("disable") else "unless-stopped")


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_exists_and_cannot_be_written(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, target, *mode = volume.split(":")
        if source.startswith("./"):
            assert (ROOT / source).is_dir()
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]
        assert target.startswith("/")


def test_no_service_has_a_password_and_grafana_has_no_users() -> None:
    variables = {**SERVICES["kafka"]["environment"], **SERVICES["grafana"]["environment"]}
    grafana = SERVICES["grafana"]["environment"]

    assert [name for name in variables if re.search("PASSWORD|SECRET|TOKEN", name)] == []
    assert grafana["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert grafana["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert grafana["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert grafana["GF_USERS_ALLOW_SIGN_UP"] == "false"


def test_prometheus_finds_its_files_and_answers_where_it_is_asked() -> None:
    service = SERVICES["prometheus"]
    mounts = {target: source for source, target, *_ in map(_parts, service["volumes"])}
    options = dict(option.split("=") for option in service["command"])
    port = service["ports"][0].rpartition(":")[2]

    assert mounts[str(Path(options["--config.file"]).parent)] == "./deploy/prometheus"
    assert mounts[options["--storage.tsdb.path"]] == "prometheus-data"
    assert service["healthcheck"]["test"][-1] == f"http://127.0.0.1:{port}/-/ready"
    assert SERVICES["grafana"]["environment"]["PROMETHEUS_URL"] == f"http://prometheus:{port}"


def test_grafana_finds_datasource_and_dashboards() -> None:
    service = SERVICES["grafana"]
    mounts = {target: source for source, target, *_ in map(_parts, service["volumes"])}
    variables = service["environment"]
    provisioning = ROOT / mounts["/etc/grafana/provisioning"]
    (provider,) = yaml.safe_load((provisioning / "dashboards/netfollowers.yml").read_text())[
        "providers"
    ]
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    home = Path(variables["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])

    assert provider["options"]["path"] == "$DASHBOARDS_PATH"
    assert source["url"] == "$PROMETHEUS_URL"
    assert mounts[variables["DASHBOARDS_PATH"]] == "./deploy/grafana/dashboards"
    assert (ROOT / mounts[str(home.parent)] / home.name).is_file()
    assert service["healthcheck"]["test"][-1].endswith("/api/health")


def _parts(volume: str) -> list[str]:
    return volume.split(":")


def test_the_watched_accounts_are_among_those_that_the_generator_makes() -> None:
    options = build_parser().parse_args(OURS["generator"]["command"])
    watched = environment(OURS[WORKERS[0]])["NETFOLLOWERS_WATCH"].split(",")

    assert watched
    assert {f"acct-{number}" for number in range(options.accounts)} >= set(watched)
