"""The OpenAPI document: as committed, and with schemas that are schemas."""

from __future__ import annotations

import json

import jsonschema

from scripts.write_openapi import DOCUMENT, of_defaults


def test_the_committed_document_is_the_one_that_is_served() -> None:
    """To write it again: `python -m scripts.write_openapi`."""
    assert json.loads(DOCUMENT.read_text()) == json.loads(json.dumps(of_defaults()))


def test_its_schemas_are_schemas() -> None:
    for schema in of_defaults()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
