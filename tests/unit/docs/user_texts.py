"""Every text that is held by the word list of test_words.py, with its place.

Texts of users and operators are taken from where they are shown: settings, registry, argparse,
OpenAPI document, schemas, rules, dashboards, the page, and all pages of docs/. Problems, log lines
and what commands print are the strings of the service. The docstrings and comments of all sources
come last.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
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

ROOT: Final = Path(__file__).parents[3]
Text = tuple[str, str]
"""(place, text)"""
WORKSHOP: Final = ("deploy", "bench", "verify", "scripts", "tests")
"""Folders of which the docstrings and comments are held, beside those of the service."""
_DESCRIBING: Final = ("description", "summary", "note", "x-producers-must", "x-consumers-must")
_SEVERAL: Final = 3
NOT_HELD: Final = {
    "CHANGELOG.md": "a release is a record of its day",
    "docs/design/decisions": "a decision is a record of its day",
    "docs/measured/bench.md": "written by the benchmark; a column has the name `ours`",
    "docs/measured/panels.md": "written by the panels test; panels keep their titles",
    "docs/measured/chaos.md": "written by the chaos run; faults keep their names",
}
"""Pages that the word list leaves out, and why."""
_COMMENT: Final = re.compile(r"(?:^|\s)# (?!noqa|type: |fmt: |ruff: | )(.*)$")
_AFTER_A_LINK: Final = re.compile(r"\]\([^)]*\)")
_KEPT: Final = re.compile(r"(?<!\*)\*[^*]+\*(?!\*)|^#.*")
"""Names of panels, which stand in asterisks, and headings, to which links lead."""


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
    yield from _static()
    for room in ("service", *WORKSHOP):
        for module in sorted(ROOT.glob(f"{room}/**/*.py")):
            place, source = str(module.relative_to(ROOT)), module.read_text()
            if room == "service":
                yield from said_by(place, source)
            yield from docstrings(place, source)
            yield from comments(place, source)


def _pages() -> Iterator[Text]:
    for page in pages():
        for line in (ROOT / page).read_text().splitlines():
            if not line.startswith("<!--") and "--->" not in line:
                yield f"page {page}", _KEPT.sub("", _AFTER_A_LINK.sub("]", line))


def pages() -> list[str]:
    """Return every page that the word list holds, as paths from the repository's root."""
    found = (*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/**/*.md")))
    names = [str(path.relative_to(ROOT)) for path in found]
    return [name for name in names if not name.startswith(tuple(NOT_HELD))]


def _static() -> Iterator[Text]:
    for path in sorted(ROOT.glob("service/web/static/*.*")):
        for line in path.read_text().splitlines():
            yield f"static {path.name}", line.replace("'none'", "").replace("li.none", "")


def docstrings(place: str, source: str) -> Iterator[Text]:
    """Yield the docstrings of a module. Drawings, which are indented, are left out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            drawn = " " * (node.col_offset + 2)
            lines = str(node.value.value).splitlines()
            text = " ".join(line.strip() for line in lines if not line.startswith(drawn))
            yield f"docstring {place}:{node.lineno}", text


def comments(place: str, source: str) -> Iterator[Text]:
    """Yield the comments of a module. Drawings, which are indented, are left out."""
    for number, line in enumerate(source.splitlines(), 1):
        for text in _COMMENT.findall(line):
            yield f"comment {place}:{number}", text


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
