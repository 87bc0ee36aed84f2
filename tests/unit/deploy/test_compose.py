"""Every path, port, variable and command in docker-compose.yml and the Dockerfile exists."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.stack.configuration import WORKERS
from service import __version__
from service.cli import build_parser
from service.local.kafka_jars import KAFKA
from service.settings import SETTINGS_VARIABLES, Settings

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """The Dockerfile as (word, rest), continuation lines joined, comments gone."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


def rest_of(word: str) -> list[str]:
    return [rest for found, rest in instructions() if found == word]


def image_environment() -> dict[str, str]:
    """What the last stage's ENV sets."""
    return dict(re.findall(r"(\w+)=(\S+)", rest_of("ENV")[-1]))


def environment(service: dict[str, Any]) -> dict[str, str]:
    """Return the settings that a container of the service sees: the image's, then compose's."""
    named = {**image_environment(), **service.get("environment", {})}
    return {name: value for name, value in named.items() if name.startswith("NETFOLLOWERS_")}


def is_in_the_build_context(path: str) -> bool:
    """What .dockerignore lets through: the last pattern that matches decides."""
    is_let_through = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and fnmatch.fnmatch(path, pattern):
            is_let_through = line.startswith("!")
    return is_let_through


def test_there_are_services_of_ours() -> None:
    assert set(OURS) == {"topics", *WORKERS, "generator"}
    assert set(SERVICES) == {*OURS, "kafka", "prometheus", "grafana"}


@pytest.mark.parametrize("name", OURS)
def test_the_build_context_and_the_dockerfile_exist(name: str) -> None:
    build = OURS[name]["build"]

    assert (ROOT / build["context"]).resolve() == ROOT
    assert ROOT / build["dockerfile"] == DOCKERFILE
    assert DOCKERFILE.is_file()


@pytest.mark.parametrize("name", OURS)
def test_our_image_has_the_version_of_the_project(name: str) -> None:
    assert OURS[name]["image"] == f"netfollowers:{__version__}"


def test_what_is_copied_into_the_image_exists_and_reaches_the_build() -> None:
    stages = {rest.split(" AS ")[1] for rest in rest_of("FROM") if " AS " in rest}
    copies = [rest.split() for rest in rest_of("COPY")]
    from_stage = [words[0] for words in copies if words[0].startswith("--from=")]
    sources = [word for words in copies if not words[0].startswith("--") for word in words[:-1]]

    assert {word.removeprefix("--from=") for word in from_stage} <= stages
    assert {"service", "pyproject.toml", "requirements/runtime.txt"} <= set(sources)
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if not is_in_the_build_context(source)] == []


def test_nothing_else_reaches_the_build() -> None:
    assert not is_in_the_build_context(".env")
    assert not is_in_the_build_context(".git")
    assert not is_in_the_build_context(".kafka")


def test_what_the_image_runs_in_its_build_was_copied_before() -> None:
    files = {name for rest in rest_of("RUN") for name in re.findall(r"-r (\S+)", rest)}
    copied = {word for rest in rest_of("COPY") for word in rest.split()}

    assert files == {"requirements/runtime.txt", "requirements/build.txt"}
    assert files <= copied


def test_images_are_pinned_by_version() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += [rest.split()[0] for rest in rest_of("FROM")]

    assert [image for image in images if not re.search(r":v?\d+\.\d+\.\d+(-[\w-]+)?$", image)] == []


def test_kafka_is_the_version_that_the_tests_run_against() -> None:
    pom = (KAFKA / "pom.xml").read_text()
    tested = re.search(r"kafka_2\.13</artifactId>\s*<version>([\d.]+)<", pom)

    assert tested is not None
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{tested[1]}"


def test_the_image_has_a_python_that_the_package_and_the_lock_are_for() -> None:
    versions = {re.findall(r"^python:(\d+\.\d+)", rest)[0] for rest in rest_of("FROM")}

    assert len(versions) == 1
    assert f"Programming Language :: Python :: {versions.pop()}" in PROJECT["classifiers"]


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_and_its_value_is_right(name: str) -> None:
    variables = environment(OURS[name])

    assert variables.keys() <= SETTINGS_VARIABLES.keys()
    assert all(isinstance(value, str) for value in variables.values())
    assert Settings.from_env(variables).is_exactly_once


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_the_command_line(name: str) -> None:
    command = build_parser().parse_args(OURS[name]["command"]).command

    assert command == {"topics": "topics", "generator": "generate"}.get(name, "worker")


def test_the_image_runs_the_entry_point_of_the_package() -> None:
    entry_point: list[str] = json.loads(rest_of("ENTRYPOINT")[-1])
    default: list[str] = json.loads(rest_of("CMD")[-1])

    assert entry_point == list(PROJECT["scripts"])
    assert build_parser().parse_args(default).command == "worker"


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_published_on_the_port_that_it_serves(name: str) -> None:
    settings = Settings.from_env(environment(OURS[name]))
    host, outside, inside = OURS[name]["ports"][0].split(":")

    assert host == "127.0.0.1"
    assert int(inside) == settings.web_port == int(rest_of("EXPOSE")[-1])
    assert int(outside) == Settings().web_port + WORKERS.index(name)
    assert settings.web_host == "0.0.0.0"  # noqa: S104 - in the container; published on loopback


def test_every_port_is_published_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", OURS)
def test_the_brokers_are_a_listener_of_a_service_that_is_waited_for(name: str) -> None:
    kafka = SERVICES["kafka"]["environment"]
    brokers = Settings.from_env(environment(OURS[name])).brokers
    listening = re.findall(r":(\d+)", kafka["KAFKA_LISTENERS"])

    assert brokers in re.findall(r"//([\w.:]+)", kafka["KAFKA_ADVERTISED_LISTENERS"])
    assert brokers.split(":")[0] in SERVICES
    assert brokers.split(":")[1] in listening
    assert OURS[name]["depends_on"]


def test_kafka_is_published_and_checked_on_ports_that_it_listens_on() -> None:
    kafka = SERVICES["kafka"]
    listening = re.findall(r":(\d+)", kafka["environment"]["KAFKA_LISTENERS"])
    published = [port.rsplit(":", 1)[1] for port in kafka["ports"]]

    assert set(published) <= set(listening)
    assert kafka["healthcheck"]["test"][-1].rsplit(":", 1)[1] in published


def test_kafka_keeps_its_data_in_a_volume_that_exists() -> None:
    volume, directory = SERVICES["kafka"]["volumes"][0].split(":")

    assert volume in COMPOSE["volumes"]
    assert SERVICES["kafka"]["environment"]["KAFKA_LOG_DIRS"] == directory


def test_what_is_waited_for_exists_and_can_come_true() -> None:
    for service in OURS.values():
        for name, waited in service["depends_on"].items():
            other = SERVICES[name]
            if waited["condition"] == "service_healthy":
                assert "test" in other["healthcheck"]
            else:
                assert waited["condition"] == "service_completed_successfully"
                assert other["restart"] == "no"


def test_workers_wait_for_their_topics_and_have_names_of_their_own() -> None:
    names = [Settings.from_env(environment(OURS[name])).instance_id for name in WORKERS]

    assert names == list(WORKERS)
    assert all("topics" in OURS[name]["depends_on"] for name in WORKERS)


@pytest.mark.parametrize("name", OURS)
def test_our_containers_are_confined(name: str) -> None:
    assert OURS[name]["read_only"] is True
    assert OURS[name]["cap_drop"] == ["ALL"]
    assert OURS[name]["mem_limit"]
    assert rest_of("USER")[-1].split(":")[0] not in {"root", "0"}


@contextmanager
def serving(status: int) -> Iterator[int]:
    """A server whose /live answers with `status`, and anything else with 404. Return its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/live" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
def test_the_health_check_of_the_image_asks_live(status: int, is_healthy: bool) -> None:  # noqa: FBT001
    command: list[str] = json.loads(rest_of("HEALTHCHECK")[-1].partition("CMD ")[2])
    assert command[0] == "python"

    with serving(status) as port:
        environ = {**os.environ, "NETFOLLOWERS_WEB_PORT": str(port)}
        done = subprocess.run(
            [sys.executable, *command[1:]], env=environ, capture_output=True, check=False
        )

    assert (done.returncode == 0) is is_healthy


def test_neither_file_names_a_registry_or_a_path_of_one_machine() -> None:
    for path in (DOCKERFILE, ROOT / "docker-compose.yml", *(ROOT / "requirements").iterdir()):
        text = path.read_text()
        hosts = set(re.findall(r"https?://([^\s/:]+)", text))
        assert hosts <= {"127.0.0.1", *SERVICES}, path.name
        assert not re.search(r"(^|\s)/(home|root|Users|work)/", text), path.name
