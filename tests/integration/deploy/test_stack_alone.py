"""`make stack` on a machine that lacks things: it says what, and runs with what there is."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from deploy.stack import configuration
from deploy.stack.copy import copied
from deploy.stack.found import look
from deploy.stack.stack import is_free
from service.local.kafka_jars import java
from tests.integration.deploy.test_stack import addresses, make_stack

# What only development installs. `make stack` and `make demo` must do without.
DEVELOPMENT = ("yaml", "jsonschema", "grafana_foundation_sdk", "pytest", "hypothesis", "playwright")


def counted(urls: list[str]) -> int:
    """Records that these workers say they have applied."""
    found = 0
    for url in urls:
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310 - ours
            lines = answer.read().decode()
        pattern = r'^netfollowers_records_total\{.*outcome="applied".*\} (\S+)'
        found += sum(int(float(n)) for n in re.findall(pattern, lines, re.MULTILINE))
    return found


def path_with_java(home: Path) -> Path:
    """Make a directory for the PATH with Java and nothing else."""
    home.mkdir()
    (home / "java").symlink_to(java())
    return home


@pytest.mark.broker
def test_without_prometheus_and_grafana_the_stack_says_so_and_counts_all_the_same(
    kafka: object, tmp_path: Path
) -> None:
    assert kafka
    only = path_with_java(tmp_path / "path")
    with make_stack(tmp_path, str(only)) as (process, said):
        found = addresses(process, said)
        assert set(found) == {*configuration.WORKERS, "kafka", "generator"}
        assert said.read_text().startswith("missing: Prometheus (Debian: prometheus) and Grafana")
        workers = [found[name] for name in configuration.WORKERS]
        while counted(workers) < 500:
            assert process.poll() is None, said.read_text()
            time.sleep(0.2)
        with urllib.request.urlopen(workers[0], timeout=10) as page:  # noqa: S310 - ours
            assert b"<title>" in page.read()
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    ports = [int(one.rpartition(":")[2]) for one in (*workers, found["kafka"])]
    assert [port for port in ports if not is_free(port)] == []


def test_without_java_the_stack_says_in_one_line_why_it_cannot_run(tmp_path: Path) -> None:
    with make_stack(tmp_path, str(tmp_path)) as (process, said):
        assert process.wait() == 1
    (line,) = said.read_text().splitlines()
    assert line.startswith("make stack: it needs a real Kafka: no Java 17 or later in PATH")
    assert not (tmp_path / "run").exists()


@pytest.mark.broker
def test_grafana_without_prometheus_is_left_out(
    kafka: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert kafka
    only = path_with_java(tmp_path / "path")
    (only / "grafana").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(only))
    assert look() == (None, None)
    told = capsys.readouterr().out
    assert told.startswith("missing: Prometheus (Debian: prometheus). The rest runs")
    assert "Grafana is left out too" in told


def test_the_copy_of_compose_is_what_compose_says() -> None:
    assert configuration.services() == copied(), "run: python -m deploy.stack.copy"


@pytest.mark.parametrize("module", ["deploy.stack.__main__", "service.demo.command"])
def test_stack_and_demo_need_no_development_packages(module: str) -> None:
    without = "".join(f"sys.modules[{name!r}] = None\n" for name in DEVELOPMENT)
    code = f"import sys\n{without}import {module}\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
