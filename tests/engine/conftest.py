"""Every record that an engine seals in these tests is held against its JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Final

import pytest

from service.engine import Engine, Sealed
from tests.engine.contract import hold_against_the_schemas

ONE_IN: Final = {"test_properties": 11, "test_decoding": 5}
"""Modules that seal so often that only one seal in so many is looked at."""


@pytest.fixture(autouse=True, scope="module")
def every_sealed_record_obeys_its_schema(request: pytest.FixtureRequest) -> Iterator[None]:
    """Look at what every engine seals, whichever way a test came to it."""
    one_in, seals, seal = ONE_IN.get(request.path.stem, 1), count(), Engine.seal

    def watched_seal(engine: Engine) -> Sealed:
        sealed = seal(engine)
        if next(seals) % one_in == 0:
            hold_against_the_schemas(sealed)
        return sealed

    patch = pytest.MonkeyPatch()
    patch.setattr(Engine, "seal", watched_seal)
    yield
    patch.undo()
