"""The OpenAPI document: as committed, and a live worker held against it by schemathesis."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from service.settings import Settings
from service.web import openapi
from tests.broker.conftest import Deploy
from tests.web.test_api import drawn, get
from tests.web.told import HOSTILE, of

DOCUMENT = Path(__file__).parents[2] / "docs" / "contract" / "openapi.json"


def of_defaults() -> Any:
    """The document of a worker with default settings."""
    settings = Settings()
    grains = [grain.name for grain in settings.rules.grains]
    return openapi.document(grains, settings.ranked_grains)


def test_the_committed_document_is_the_one_that_is_served() -> None:
    """Write it anew with: python -m tests.web.document."""
    assert json.loads(DOCUMENT.read_text()) == json.loads(json.dumps(of_defaults()))


def test_its_schemas_are_schemas() -> None:
    for schema in of_defaults()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.broker
@pytest.mark.transactions
async def test_a_live_worker_keeps_to_it_whatever_schemathesis_asks(
    deployed: Deploy, tmp_path: Path
) -> None:
    deployment = await deployed(partitions=2)
    await deployment.produce(drawn(500))
    worker = deployment.worker(api_rate=100_000.0)
    await worker.until("ready")
    await deployment.caught_up()
    document = (await get(worker, "/api/openapi.json")).json
    for path, name in [
        (of(HOSTILE[0]), "Account"),
        ("/api/top", "Top"),
        ("/api/service", "Service"),
    ]:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.validate((await get(worker, path)).json, schema)
    port = worker.settings.web_port
    ran = subprocess.run(  # noqa: ASYNC221 - nothing else goes on in this test
        [
            sys.executable, "-m", "schemathesis.cli", "run",
            f"http://127.0.0.1:{port}/api/openapi.json",
            "--exclude-path", "/api/stream",  # does not end
            "--max-examples", "60", "--phases", "examples,coverage,fuzzing", "--seed", "1",
        ],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-6_000:] + ran.stderr[-2_000:]
    generated, passed = re.findall(r"(\d+) generated, (\d+) passed", ran.stdout)[-1]
    assert generated == passed
    assert int(passed) > 200
