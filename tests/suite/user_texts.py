"""Every text that users and operators read, with its place. The words are held by test_words.py.

Texts are taken from where they are shown (settings, registry, argparse, OpenAPI document, schemas,
rules, dashboards). Problems, log lines and what commands print are the strings of the sources.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from service.cli import build_parser
from service.metrics import account_series as accounts
from service.metrics.observed import FAILURES, OBSERVED, REFUSED
from service.metrics.readings import READINGS, WORKER
from service.settings import SETTINGS_VARIABLES
from service.web.problems import TITLES

ROOT: Final = Path(__file__).parents[2]
Text = tuple[str, str]
"""(place, text)"""
_DESCRIBING: Final = ("description", "summary", "note", "x-producers-must", "x-consumers-must")
_SEVERAL: Final = 3
_PAGES: Final = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/index.md",
    "docs/guide/results.md",
    "docs/operate/failures.md",
    "docs/operate/running.md",
    "docs/operate/settings.md",
    "docs/design/guarantees.md",
    "docs/design/tests.md",
)


def texts() -> Iterator[Text]:
    """Yield all of them."""
    for name, variable in SETTINGS_VARIABLES.items():
        yield f"setting {name}", variable.meaning
    yield from _metrics()
    yield from _help(build_parser())
    for name, (_, title) in TITLES.items():
        yield f"problem {name}", title
    for path in ("docs/contract/openapi.json", "docs/contract/asyncapi.json"):
        yield from _described(path, json.loads((ROOT / path).read_text()))
    yield from _pages()
    for schema in sorted(ROOT.glob("service/contract/schemas/*.json")):
        yield from _described(f"schema {schema.name}", json.loads(schema.read_text()))
    for board in sorted(ROOT.glob("deploy/grafana/dashboards/*.json")):
        if board.name != "runbook.json":  # docs/operate/runbook.md, which is a guide
            yield from _described(f"dashboard {board.name}", json.loads(board.read_text()))
    yield from _alerts()
    for module in sorted(ROOT.glob("service/**/*.py")):
        place = str(module.relative_to(ROOT))
        yield from said_by(place, module.read_text())


def _pages() -> Iterator[Text]:
    for page in _PAGES:
        for line in (ROOT / page).read_text().splitlines():
            if not line.startswith("<!--"):
                yield f"page {page}", line


def _metrics() -> Iterator[Text]:
    for one in (*READINGS, *WORKER, *OBSERVED):
        yield f"metric {one.name}", one.help
    yield from ((f"metric {name}", text) for name, text in (FAILURES, REFUSED))
    own = (*accounts._HELP, accounts._HELP_FOLLOWERS, accounts._HELP_SERIES, accounts._HELP_LIMIT)
    yield from (("metrics of accounts", text) for text in own)


def _help(parser: argparse.ArgumentParser) -> Iterator[Text]:
    yield f"help of {parser.prog}", " ".join(parser.format_help().split())
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _help(command)


def _described(place: str, found: Any) -> Iterator[Text]:
    if isinstance(found, list):
        for one in found:
            yield from _described(place, one)
    if isinstance(found, dict):
        for name, value in found.items():
            if name in _DESCRIBING:
                yield from ((place, text) for text in _strings(value))
            yield from _described(place, value)


def _strings(value: Any) -> Iterable[str]:
    return [value] if isinstance(value, str) else filter(lambda one: isinstance(one, str), value)


def _alerts() -> Iterator[Text]:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            for kind in ("summary", "description"):
                yield f"alert {rule['alert']}", rule["annotations"][kind]


def said_by(place: str, source: str) -> Iterator[Text]:
    """Yield what a module can print, log, raise or answer: its strings of several words.

    Docstrings are left out. A value in an f-string is an X.
    """
    tree = ast.parse(source)
    left_out = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.JoinedStr):
            left_out.update(map(id, node.values))
            parts = [one.value if isinstance(one, ast.Constant) else "X" for one in node.values]
            text = "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if len(text.split()) >= _SEVERAL:
            yield f"{place}:{node.lineno}", text
