"""Rules and alerts: promtool's own checks, each alert's labels and runbook, the configuration."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.dashboards.runbook import sections
from deploy.stack.configuration import PROMETHEUS, WORKERS, services, write_prometheus
from service.cli import build_parser
from tests.support import dashboard_queries

ALERTS = dashboard_queries.alerts()
RUNBOOK = (dashboard_queries.ROOT / "docs" / "operate" / "runbook.md").read_text()
CASES = yaml.safe_load((PROMETHEUS / "tests.yml").read_text())["tests"]


def ask(promtool: str, *arguments: str) -> str:
    done = subprocess.run(
        [promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_configuration_and_rules(promtool: str) -> None:
    said = ask(promtool, "check", "config", "prometheus.yml")
    assert "2 rule files found" in said
    said = ask(promtool, "check", "rules", "--lint-fatal", "recording.yml", "alerts.yml")
    assert said.count("SUCCESS") == 2


def test_every_alert_fires_when_it_must_and_only_then(promtool: str) -> None:
    assert "SUCCESS" in ask(promtool, "test", "rules", "tests.yml")


def cases_of(alert: str) -> Sequence[dict[str, Any]]:
    """Expectations about whether it fires."""
    return [
        expected
        for case in CASES
        for expected in case["promql_expr_test"]
        if f'ALERTS{{alertname="{alert}"' in expected["expr"]
    ]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(name: str) -> None:
    fires = [case for case in cases_of(name) if case["exp_samples"]]
    silent = [case for case in cases_of(name) if not case["exp_samples"]]

    assert fires
    assert silent


def test_there_are_six_to_sixteen() -> None:
    assert 6 <= len(ALERTS) <= 16


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on(name: str) -> None:
    alert = ALERTS[name]
    said = alert["annotations"]
    path, _, anchor = said["runbook_url"].partition("#")

    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert "{{" in said["summary"]
    assert said["description"].endswith(".")
    assert (dashboard_queries.ROOT / path).is_file()
    assert anchor in {re.sub(r"[^\w-]", "", heading.lower()) for heading in sections()}
    assert anchor == name.lower()


@pytest.mark.parametrize("name", ALERTS)
def test_the_runbook_says_what_to_do(name: str) -> None:
    text = sections()[name]
    headings = re.findall(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE)

    assert headings == [
        "What it means",
        "How to look",
        "What to do",
        "How to know it is over",
    ]


def test_the_runbook_has_a_heading_for_each_alert_and_for_what_else_points_to_it() -> None:
    """Panels point to two; refusals and exit lines point to the others."""
    others = {
        "How to read this", "Duplicates beyond a cut log", "Hanging transaction",
        "Refused requests", "A batch that cannot be unpacked",
        "Checkpoint overwritten", "Partitions added to the input", "The input is compacted",
    }  # fmt: skip
    assert sections().keys() - ALERTS.keys() == others
    assert list(ALERTS) == [name for name in sections() if name in ALERTS]


def test_the_panels_that_the_runbook_names_exist() -> None:
    shown = {one.panel for one in dashboard_queries.asked()} | {"Service", "Runbook", *ALERTS}
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*\n]+?)\*(?!\*)", RUNBOOK.replace("\n", " ")))

    assert len(named) > 15
    assert {" ".join(name.split()) for name in named} - shown == set()


def test_the_commands_that_the_runbook_shows_parse() -> None:
    shown = re.findall(r"^ {4}netfollowers ([^#\n]+)", RUNBOOK, re.MULTILINE)
    shown += re.findall(r"`netfollowers ([^`]+)`", RUNBOOK)

    assert len(shown) > 10
    for line in shown:
        build_parser().parse_args(shlex.split(line))


def test_recording_rules_are_named_by_level_and_operation_and_all_are_used() -> None:
    asked = [one.expr for one in dashboard_queries.asked()] + [
        one["expr"] for one in ALERTS.values()
    ]
    used = {name for expr in asked for name in dashboard_queries.recorded_in(expr)}
    used |= {
        name
        for expr in dashboard_queries.recorded().values()
        for name in dashboard_queries.recorded_in(expr)
    }

    assert set(dashboard_queries.recorded()) == used


def test_compose_and_the_native_stack_scrape_the_same_workers(tmp_path: Path) -> None:
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    (job,) = configuration["scrape_configs"]
    (found,) = yaml.safe_load((PROMETHEUS / "targets" / "compose.yml").read_text())
    native = write_prometheus(tmp_path / "prometheus", ["127.0.0.1:1", "127.0.0.1:2"], None)

    assert job["job_name"] == "netfollowers"
    assert job["file_sd_configs"][0]["files"] == ["targets/*.yml"]
    assert [target.split(":")[0] for target in found["targets"]] == list(WORKERS)
    for target in found["targets"]:
        name, port = target.split(":")
        assert services()[name]["ports"][0].endswith(f":{port}")
    assert native.read_bytes() == (PROMETHEUS / "prometheus.yml").read_bytes()
    assert (native.parent / "alerts.yml").read_bytes() == (PROMETHEUS / "alerts.yml").read_bytes()


def test_promtool_accepts_the_native_stacks_configuration(promtool: str, tmp_path: Path) -> None:
    native = write_prometheus(tmp_path / "prometheus", ["127.0.0.1:1", "127.0.0.1:2"], None)
    assert ask(promtool, "check", "config", str(native))


def test_grafana_believes_the_scrape_interval_that_there_is() -> None:
    path = (
        dashboard_queries.ROOT
        / "deploy"
        / "grafana"
        / "provisioning"
        / "datasources"
        / "prometheus.yml"
    )
    (source,) = yaml.safe_load(path.read_text())["datasources"]
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())

    assert source["jsonData"]["timeInterval"] == configuration["global"]["scrape_interval"]
