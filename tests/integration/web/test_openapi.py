"""A live worker compared with its OpenAPI document by schemathesis."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.integration.web.test_api import drawn, get
from tests.support.api_client import HOSTILE, of
from tests.support.deployment_fixtures import Deploy


@pytest.mark.broker
@pytest.mark.transactions
async def test_a_live_worker_keeps_to_it_whatever_schemathesis_asks(
    deployed: Deploy, tmp_path: Path
) -> None:
    deployment = await deployed(partitions=2)
    await deployment.produce(drawn(500))
    worker = await deployment.ready_worker(api_rate=100_000.0)
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
