"""Tests which room of `service/` imports which, by the table of layers in ARCHITECTURE.md.

Every import counts, also an import of types and one inside a function. The audit imports no other
room: it takes the settings that it needs as an argument.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import service

ROOT: Final = Path(service.__file__).parent
SMALL: Final = frozenset(
    {
        "service",
        "settings",
        "errors",
        "exit_codes",
        "declarations",
        "logs",
        "secret_files",
        "service_links",
        "setting_pairs",
        "background_tasks",
    }
)
"""Modules beside the rooms that know no room but, for their rules, the contract and the engine."""
LOW: Final = frozenset({"contract", "counting", "kafka", "runtime"}) | SMALL
MAY: Final[Mapping[str, frozenset[str]]] = {
    "audit": frozenset(),
    "contract": frozenset(),
    "counting": frozenset({"contract"}),
    "setting_pairs": frozenset({"contract", "counting"}),
    "settings": frozenset(
        {"contract", "counting", "secret_files", "errors", "declarations"}
        | {"service_links", "setting_pairs"}
    ),
    "kafka": frozenset({"contract"}) | SMALL,
    "runtime": frozenset({"contract", "kafka"}) | SMALL,
    "metrics": LOW,
    "web": LOW | {"metrics"},
    "file_descriptors": frozenset({"settings", "web"}),
    "process": SMALL,
    "app": LOW | {"metrics", "web", "process"},
    "run": LOW | {"metrics", "web", "file_descriptors", "app", "process"},
    "local": frozenset({"kafka"}) | SMALL,
    "charts": frozenset({"contract", "counting"}) | SMALL,
    "synthetic": frozenset({"contract", "counting", "kafka"}) | SMALL,
}
"""The rooms that each room may import. A room that is not named here may import every room."""
COMMANDS: Final = frozenset({"commands", "demo", "cli", "__main__"})
"""Only these may import commands."""
EXPOSITION: Final = "service.metrics.exposition"
"""All that the web port may know of metrics: no answer is computed from one."""

Modules = Mapping[str, str]
"""The source of each module, by name."""


def modules() -> dict[str, str]:
    """Every module of the service."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path.read_text()
    return found


@cache
def named(source: str) -> frozenset[tuple[str, str]]:
    """Return (module, name) of each import of the service in a source. The name may be empty."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {(one.name, "") for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import is written in full"
            found |= {(str(node.module), one.name) for one in node.names}
    return frozenset(one for one in found if one[0].split(".")[0] == "service")


def imported(source: str, known: Collection[str]) -> set[str]:
    """Return the modules of the service that a source imports."""
    return {
        f"{module}.{name}" if f"{module}.{name}" in known else module
        for module, name in named(source)
    }


def room(module: str) -> str:
    """Return `kafka` for `service.kafka.clients`, and `service` for the package itself."""
    return module.split(".")[1] if module != "service" else "service"


def wrong_ways(found: Modules) -> list[str]:
    """Each import that goes against the table."""
    wrong = []
    for name, source in found.items():
        here = room(name)
        for target in imported(source, found.keys()):
            there = room(target)
            is_wrong = here in MAY and there not in MAY[here] | {here}
            is_wrong |= there == "commands" and here not in COMMANDS
            is_wrong |= here == "web" and there == "metrics" and target != EXPOSITION
            if is_wrong:
                wrong.append(f"{name} imports {target}")
    return sorted(wrong)


def circle(found: Modules) -> list[str]:
    """One circle of imports, module by module; empty without one."""
    graph = {name: sorted(imported(source, found.keys())) for name, source in found.items()}
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for target in graph.get(name, ()):
            if target != "service" and (around := walk(target, [*way, name])):
                return around
        done.add(name)
        return []

    return next(filter(None, (walk(name, []) for name in graph)), [])


def test_every_import_goes_the_way_of_the_layers() -> None:
    assert wrong_ways(modules()) == []


def test_no_imports_go_in_a_circle() -> None:
    assert circle(modules()) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("service.contract.results", "from service.counting import rows"),
        ("service.counting.engine", "from service.kafka import clients"),
        ("service.runtime.shard", "from service.counting import Engine"),
        ("service.runtime.journal", "from service.metrics.observed import ShardMetrics"),
        ("service.runtime.lag", "if TYPE_CHECKING:\n    import service.web.routes"),
        ("service.kafka.clients", "def f():\n    from service.runtime.shard import Shard"),
        ("service.web.local_shards", "from service.metrics.observed import Metrics"),
        ("service.metrics.readings", "from service.app import Worker"),
        ("service.app", "from service.run import run"),
        ("service.audit.model.counting", "from service.contract import input_record"),
        ("service.app", "from service.commands import generate"),
        ("service.charts.series", "import service.commands.output"),
    ],
)
def test_a_planted_wrong_import_is_found(module: str, line: str) -> None:
    found = modules()
    found[module] += f"\n{line}\n"
    assert [one for one in wrong_ways(found) if one.startswith(f"{module} imports")]


def test_a_planted_circle_is_found() -> None:
    found = modules()
    found["service.runtime.reader"] += "\nfrom service.runtime.shards import Shards\n"
    around = circle(found)
    assert around[0] == around[-1]
    assert {"service.runtime.reader", "service.runtime.shards"} <= set(around)
