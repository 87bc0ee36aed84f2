"""Apache Kafka's jars for a local broker: found in `.kafka/libs`, or fetched through Maven.

Knows Java, Maven and `deploy/kafka/pom.xml`, and nothing about running brokers.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from service.errors import BrokerError

ROOT: Final = Path(__file__).parents[2]
KAFKA: Final = ROOT / "deploy" / "kafka"
LIBS: Final = ROOT / ".kafka" / "libs"
JAVA_AT_LEAST: Final = 17
_JAVA_PACKAGE: Final = "openjdk-17-jre-headless"
_FETCHED_WITHIN_S: Final = 540.0


class KafkaJarsError(BrokerError):
    """There is no real Kafka on this machine. The text says what to install."""


def java() -> str:
    """Return the path of Java 17 or later. KafkaJarsError if there is no such Java."""
    path = shutil.which("java")
    if path is None:
        message = f"no Java {JAVA_AT_LEAST} or later in PATH (Debian package: {_JAVA_PACKAGE})"
        raise KafkaJarsError(message)
    answer = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r'version "(\d+)', answer.stderr)
    if found is None or int(found[1]) < JAVA_AT_LEAST:
        said = answer.stderr.strip()[:80]
        message = (
            f"{path} is not Java {JAVA_AT_LEAST} or later (Debian package: {_JAVA_PACKAGE}): {said}"
        )
        raise KafkaJarsError(message)
    return path


def jars() -> Path:
    """Return the directory of the jars of `pom.xml`. It fetches them if needed. KafkaJarsError."""
    if not _is_current(LIBS):
        _fetch()
    return LIBS


def _is_current(libs: Path) -> bool:
    with suppress(FileNotFoundError):
        return (libs / "pom.xml").read_bytes() == (KAFKA / "pom.xml").read_bytes()
    return False


def _fetch() -> None:
    """Let Maven copy the jars to a temporary directory, then move them at once into place.

    Two processes may do this at the same time.
    """
    maven = shutil.which("mvn")
    if maven is None:
        message = (
            f"no jars in {LIBS.relative_to(ROOT)}, and no mvn that can fetch them (Debian: maven)"
        )
        raise KafkaJarsError(message)
    LIBS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=LIBS.parent, prefix="fetch-") as aside:
        libs = Path(aside) / "libs"
        command = [maven, "-q", "-B", "-f", str(KAFKA / "pom.xml"), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={libs}"]
        try:
            done = subprocess.run(  # noqa: S603
                command, capture_output=True, text=True, check=False, timeout=_FETCHED_WITHIN_S
            )
        except subprocess.TimeoutExpired:
            message = f"Maven did not fetch the jars within {_FETCHED_WITHIN_S:.0f} s"
            raise KafkaJarsError(message) from None
        if done.returncode != 0:
            said = next((line for line in done.stdout.splitlines() if "ERROR" in line), done.stderr)
            message = f"Maven could not fetch the jars: {said[:300]}"
            raise KafkaJarsError(message)
        shutil.copy(KAFKA / "pom.xml", libs / "pom.xml")
        _put_in_place(libs)


def _put_in_place(libs: Path) -> None:
    if not _is_current(LIBS):
        shutil.rmtree(LIBS, ignore_errors=True)
        with suppress(OSError):  # another process was faster, with the same jars
            os.replace(libs, LIBS)  # noqa: PTH105 - suppress() reads better than Path.replace's result
    assert _is_current(LIBS), "the jars are not in place"
