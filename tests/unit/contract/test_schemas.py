"""Every schema is one, says what it must, and takes and refuses what its examples say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from service.contract.topics import TOPICS
from tests.support.contract.channels import METADATA, written
from tests.support.contract.schemas import (
    COUNTEREXAMPLES,
    as_written,
    counterexamples,
    names,
    schema,
)
from verify.contract.schema_diff import references

NAMES = names()
USED = {part for one in TOPICS for m in one.records for part in m.parts.values()} | {METADATA}
REFUSED = [(name, n) for name in NAMES for n in range(len(counterexamples(name)))]
TAKEN = [(name, n) for name in NAMES for n in range(len(schema(name)["examples"]))]

OBJECTS = [name for name in sorted(written()) if schema(name).get("type") == "object"]


def judge(name: str) -> Draft202012Validator:
    """As published for what others write, closed for what we do."""
    found = schema(name)
    return Draft202012Validator(as_written(found) if name in written() else found)


def test_there_is_a_schema_for_each_part_of_each_record_and_no_other() -> None:
    assert set(NAMES) == USED
    assert {path.stem for path in COUNTEREXAMPLES.iterdir()} == USED


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one_and_stands_for_itself(name: str) -> None:
    found = schema(name)
    Draft202012Validator.check_schema(found)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert found["$id"] == f"{name}.json"
    assert found["title"]
    assert found["description"]
    assert [one for one in references(found) if not one.startswith("#")] == []


@pytest.mark.parametrize("name", NAMES)
def test_it_has_two_valid_and_three_invalid_examples(name: str) -> None:
    found = schema(name)
    has_only_one = "const" in found or name == "no.headers"
    assert len(found["examples"]) >= (1 if has_only_one else 2)
    assert len(counterexamples(name)) >= 3


@pytest.mark.parametrize(("name", "number"), TAKEN)
def test_a_valid_example_is_taken(name: str, number: int) -> None:
    judge(name).validate(schema(name)["examples"][number])


@pytest.mark.parametrize(("name", "number"), REFUSED)
def test_an_invalid_example_is_refused_for_its_reason(name: str, number: int) -> None:
    said = counterexamples(name)[number]
    assert said.keys() == {"why", "keyword", "at", "value"}
    assert said["why"]
    reasons = {
        (error.validator, "".join(f"/{step}" for step in error.absolute_path))
        for error in every(judge(name).iter_errors(said["value"]))
    }
    assert (said["keyword"], said["at"]) in reasons, reasons


def every(errors: Iterator[ValidationError]) -> Iterator[ValidationError]:
    """Errors, and those of alternatives below them."""
    for error in errors:
        yield error
        yield from every(iter(error.context))


@pytest.mark.parametrize("name", OBJECTS)
def test_what_we_write_is_published_open_and_judged_closed(name: str) -> None:
    found = schema(name)
    grown = {**found["examples"][0], "from-a-newer-version": "1"}
    Draft202012Validator(found).validate(grown)
    assert not judge(name).is_valid(grown)


@pytest.mark.parametrize("name", NAMES)
def test_patterns_mean_the_same_in_every_regex_engine(name: str) -> None:
    for pattern in patterns(schema(name)):
        assert pattern.startswith("^")
        assert pattern.endswith("$")
        assert not re.search(r"\\[dwsb]", pattern), "differ in Unicode"


def patterns(part: Any) -> Iterator[str]:
    """Every pattern in a schema."""
    if isinstance(part, dict):
        yield from [part["pattern"]] if "pattern" in part else []
        for value in part.values():
            yield from patterns(value)
    elif isinstance(part, list):
        for value in part:
            yield from patterns(value)
