"""`make stack` starts what compose starts, every panel shows something, and SIGTERM ends it all."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.stack import configuration
from deploy.stack.stack import is_free
from tests.support import dashboard_queries
from tests.support.patience import SILENCE_S, Patience
from tests.support.prometheus import Prometheus

RATE_S = 20
GRAFANA = """\
#!{python}
# In place of Grafana, which is not installed where tests run: writes down how it was started.
import http.server, json, os, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
    def log_message(self, *_):
        pass
with open({note!r}, "w") as note:
    json.dump([sys.argv[1:], dict(os.environ)], note)
address = (os.environ["GF_SERVER_HTTP_ADDR"], int(os.environ["GF_SERVER_HTTP_PORT"]))
http.server.HTTPServer(address, Health).serve_forever()
"""


def stand_in_for_grafana(home: Path) -> tuple[Path, Path]:
    """Return a directory for the PATH, and the note that the stand-in writes."""
    note = home / "note.json"
    for directory in ("bin", "conf"):
        (home / directory).mkdir(parents=True)
    (home / "conf" / "defaults.ini").touch()
    script = home / "bin" / "grafana"
    script.write_text(GRAFANA.format(python=sys.executable, note=str(note)))
    script.chmod(0o755)
    return script.parent, note


@contextmanager
def make_stack(home: Path, path: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`make stack`, and the file that it prints to; it is ended whatever happens."""
    said = home / "said.txt"
    environ = {**os.environ, "PATH": path}
    command = [sys.executable, "-m", "deploy.stack", "--rate", "300", "--home", str(home / "run")]
    with said.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=configuration.ROOT, env=environ, stdout=sink, stderr=sink
        )
    try:
        yield process, said
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(SILENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def addresses(process: subprocess.Popen[bytes], said: Path) -> dict[str, str]:
    """Wait until it prints that all runs, or ends because a part has failed.

    Return the address of each part.
    """
    while "Ctrl-C ends" not in said.read_text():
        assert process.poll() is None, said.read_text()
        time.sleep(0.1)
    return dict(re.findall(r"^  (\S+) +(\S+)", said.read_text(), re.MULTILINE))


def empty_panels(prometheus: Prometheus) -> list[str]:
    """Queries that return nothing though no words stand in for an empty panel."""
    account = min(prometheus.label_values("netfollowers_account_net", "account"), default="")
    may_be_empty = {
        (title, panel["title"])
        for title, board in dashboard_queries.boards().items()
        for panel in dashboard_queries.panels(board)
        if panel.get("fieldConfig", {}).get("defaults", {}).get("noValue")
    }
    return [
        one.name
        for one in dashboard_queries.asked()
        if (one.board, one.panel) not in may_be_empty
        and not prometheus.at(
            one.expr.replace("$__rate_interval", f"{RATE_S}s").replace("$account", account)
        )
    ]


@pytest.mark.broker
def test_the_stack_shows_something_on_every_panel_and_ends_on_sigterm(
    kafka: object, prometheus: str, tmp_path: Path
) -> None:
    assert kafka
    assert prometheus
    path, note = stand_in_for_grafana(tmp_path / "grafana")
    with make_stack(tmp_path, f"{path}{os.pathsep}{os.environ['PATH']}") as (process, said):
        found = addresses(process, said)
        assert set(found) == {*configuration.WORKERS, "kafka", "prometheus", "grafana", "generator"}
        asked = Prometheus(found["prometheus"])
        patience = Patience("something on every panel")
        while empty := empty_panels(asked):
            patience.look(empty)
            time.sleep(1)
        assert [one["labels"] for one in asked.firing() if one["state"] == "firing"] == []
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    urls = [one.removeprefix("http://") for one in found.values() if ":" in one]
    assert [url for url in urls if not is_free(int(url.rpartition(":")[2]))] == []
    _grafana_was_started_as_in_compose(note, found)


def _grafana_was_started_as_in_compose(note: Path, found: dict[str, str]) -> None:
    command, environ = json.loads(note.read_text())
    compose = configuration.services()["grafana"]["environment"]
    places = {"GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH", "PROMETHEUS_URL", "DASHBOARDS_PATH"}

    assert command[0] == "server"
    assert {name: environ[name] for name in compose.keys() - places} == {
        name: text for name, text in compose.items() if name not in places
    }
    assert environ["PROMETHEUS_URL"] == found["prometheus"]
    assert Path(environ["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).is_file()
    assert Path(environ["DASHBOARDS_PATH"], "accounts.json").is_file()
    assert Path(environ["GF_PATHS_PROVISIONING"], "datasources", "prometheus.yml").is_file()
    assert environ["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
