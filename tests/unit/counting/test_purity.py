"""The engine is a function of the log: what it must not know, it does not import."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import service

ROOT = Path(service.__file__).parent
PURE_ROOMS = ("counting", "contract")
PURE = [path for room in PURE_ROOMS for path in (ROOT / room).glob("*.py")]
ALLOWED = {
    "__future__", "bisect", "collections", "collections.abc", "dataclasses", "datetime", "enum",
    "hashlib", "heapq", "msgspec", "operator", "re", "sys", "types", "typing", "zlib",
}  # fmt: skip
BANNED = (
    *("faust", "aiokafka", "asyncio", "time", "datetime", "logging", "prometheus_client", "os"),
    *("random", "service.kafka", "service.settings", "service.app", "service.run"),
    "service.metrics",
)


def strangers(source: str) -> set[str]:
    """What a module imports beyond the list; of datetime, whatever could read a clock."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Call):
            found |= {f"{name}()" for name in called(node) & {"now", "utcnow", "today", "open"}}
            found |= {f"{name}()" for name in called(node) & {"__import__", "eval", "exec"}}
    ours = tuple(f"service.{room}" for room in PURE_ROOMS)
    return {name for name in found if not name.startswith(ours)} - ALLOWED


def called(node: ast.Call) -> set[str]:
    """Name of what is called: of a function or of a method."""
    if isinstance(node.func, ast.Name):
        return {node.func.id}
    return {node.func.attr} if isinstance(node.func, ast.Attribute) else set()


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.name)
def test_the_engine_knows_no_broker_clock_log_metric_or_environment(path: Path) -> None:
    assert strangers(path.read_text()) == set()


@pytest.mark.parametrize(
    "source",
    [
        *("import time", "from os import environ", "import asyncio.events", "from . import app"),
        *("from service import settings", "from service.kafka import shard", "datetime.now()"),
        *("def f():\n    import logging", "date.today()", "__import__('time')"),
    ],
)
def test_a_planted_stranger_is_found(source: str) -> None:
    assert strangers(source)


@pytest.mark.parametrize("banned", BANNED)
def test_ruff_refuses_a_banned_import_in_the_engine(banned: str, tmp_path: Path) -> None:
    home = tmp_path / "service" / "counting"
    home.mkdir(parents=True)
    shutil.copy(ROOT / "counting" / "ruff.toml", home)
    shutil.copy(ROOT.parent / "pyproject.toml", tmp_path)
    (home / "planted.py").write_text(f"import {banned}\n")
    ruff = str(Path(sys.executable).with_name("ruff"))
    command = [ruff, "check", "--no-cache", "--select", "TID251", str(home)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert f"TID251 `{banned}` is banned" in found.stdout
