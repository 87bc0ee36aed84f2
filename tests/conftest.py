"""Fixtures for every test: a real Kafka, the embedded broker, names of one's own.

Brokers start once, when the first test asks for one. Where a broker cannot be had, its tests skip,
and the end of the run says so in words: a green run without them must not look like a whole one.
A test of real processes that fails runs once more (docs/decisions/0015).
"""

from __future__ import annotations

import gc
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

import pytest

from service.engine import Engine, Sealed
from service.tools.broker import BrokerFailed, LocalBroker, start_local_broker
from service.tools.jars import JarsMissing
from tests.contract.records import first, wrong_in

_SKIPPED: Final = pytest.StashKey[dict[str, str]]()
_HERE: Final = Path(__file__).parent
_REAL_PROCESSES: Final = {"bench", "broker", "chaos", "deploy", "examples", "shell", "tools", "web"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests of real processes a second try; RERUNS=0 in the environment: none."""
    reruns = int(os.environ.get("RERUNS", "1"))
    for item in items:
        if item.path.is_relative_to(_HERE) and item.path.parent.name in _REAL_PROCESSES:
            item.add_marker(pytest.mark.flaky(reruns=reruns))


@pytest.fixture(autouse=True, scope="session")
def every_sealed_record_obeys_the_contract() -> Iterator[None]:
    """Look at what every engine in this process seals, whichever way a test came to it."""
    seal = Engine.seal

    def watched_seal(engine: Engine) -> Sealed:
        sealed = seal(engine)
        wrong = wrong_in(sealed)
        assert not wrong, first(wrong)
        return sealed

    patch = pytest.MonkeyPatch()
    patch.setattr(Engine, "seal", watched_seal)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def what_a_test_leaves_is_told_in_it(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect the garbage of a test with a broker before the next begins.

    A client that was not closed is the fault of this test, not of another. And a future of aiokafka
    that nobody asked prints a traceback when it is collected, for which Python 3.11 parses a line:
    in the middle of another parse that ends the run ("AST constructor recursion depth mismatch").
    """
    yield
    if {"kafka", "tansu"} & set(request.fixturenames):
        gc.collect()


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[LocalBroker]:
    """A real Kafka, with transactions."""
    try:
        broker = start_local_broker("kafka")
    except JarsMissing as missing:
        _skip(pytestconfig, "tests that need transactions (a real Kafka)", str(missing))
    with broker:
        yield broker


@pytest.fixture(scope="session")
def tansu(pytestconfig: pytest.Config) -> Iterator[LocalBroker]:
    """The embedded broker: memory only, no transactions."""
    try:
        broker = start_local_broker("tansu")
    except BrokerFailed as failed:
        _skip(pytestconfig, "tests of at-least-once (Tansu)", str(failed))
    with broker:
        yield broker


@pytest.fixture(scope="session")
def kafka_streams(pytestconfig: pytest.Config) -> None:
    """The benchmark's Kafka Streams peers, built."""
    from bench.peers.process import build  # noqa: PLC0415 - bench is not everywhere

    try:
        build()
    except JarsMissing as missing:
        _skip(pytestconfig, "tests of the Kafka Streams peers", str(missing))


@pytest.fixture(scope="session")
def prometheus(pytestconfig: pytest.Config) -> str:
    """The path of a real Prometheus."""
    found = shutil.which("prometheus")
    if found is None or shutil.which("promtool") is None:
        _skip(pytestconfig, "tests of panels and alerts", "no prometheus and promtool in PATH")
    return found


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> str:
    """A prefix for topics and app ids that no other test has, and no other run."""
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return f"{test[:40]}-{secrets.token_hex(4)}"


def _skip(config: pytest.Config, what: str, why: str) -> NoReturn:
    config.stash.setdefault(_SKIPPED, {})[what] = why
    pytest.skip(f"{what}: {why}")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say loudly what did not run."""
    for what, why in config.stash.get(_SKIPPED, {}).items():
        terminalreporter.write_line(f"SKIPPED: {what}: {why}", yellow=True, bold=True)
