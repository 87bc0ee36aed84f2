"""The tools that a test may do without: what it means when one is missing stands here only.

A missing tool skips the test. The line that says so names the Debian package that has the tool.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, NoReturn

import pytest

from service.local.kafka_jars import KafkaJarsError

PACKAGES: Final = MappingProxyType(
    {
        "chromium": "chromium",
        "git": "git",
        "go": "golang-go",
        "java": "openjdk-17-jre-headless",
        "mvn": "maven",
        "node": "nodejs",
        "npm": "npm",
        "openssl": "openssl",
        "prometheus": "prometheus",
        "promtool": "prometheus",
        "unshare": "util-linux",
    }
)


def skip(why: str) -> NoReturn:
    """Do not run this test. The end of the run says why, once for all tests with this reason."""
    pytest.skip(why)


_GO: Final = Path("/usr/local/go/bin/go")
"""Where Go's own installer puts it. That directory is seldom in PATH."""


def find(name: str) -> str:
    """Return the path of a tool of `PACKAGES`, or "" when it is missing."""
    elsewhere = str(_GO) if name == "go" and _GO.exists() else ""
    return shutil.which(name) or elsewhere


def without(name: str) -> str:
    """Return the text about a missing tool; "" if the tool is there."""
    return "" if find(name) else f"no {name} in PATH (Debian package: {PACKAGES[name]})"


def tool(name: str) -> str:
    """Return the path of a tool. Without it the test is skipped."""
    if not find(name):
        skip(without(name))
    return find(name)


@contextmanager
def a_real_kafka() -> Iterator[None]:
    """Skip the test if what is done in here finds no Java, or no jars and no Maven."""
    try:
        yield
    except KafkaJarsError as missing:
        skip(f"no real Kafka: {missing}")
