"""Every exception class says that it is an error, and has the common base where it may have it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from service.errors import NetFollowersError

ROOT = Path(__file__).parents[3]
WITH_A_BASE_OF_THEIR_OWN = ("audit", "contract", "counting")
"""The audit shares no code with what it checks. The contract and the engine are pure."""


def raised_in(source: str) -> dict[str, list[str]]:
    """Return the exception classes of a module by name, each with the names of its bases."""
    found: dict[str, list[str]] = {}
    if "Error" not in source and "Exception" not in source:
        return found
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            if any(
                base in found or base == "Exception" or base.endswith("Error") for base in bases
            ):
                found[node.name] = bases
    return found


def without_the_base(sources: dict[str, str]) -> set[str]:
    """Return the exception classes that do not come from NetFollowersError."""
    classes = {name: bases for text in sources.values() for name, bases in raised_in(text).items()}
    known = {NetFollowersError.__name__}
    while more := {name for name, bases in classes.items() if known & {*bases}} - known:
        known |= more
    return classes.keys() - known


def test_every_exception_class_ends_in_error() -> None:
    modules = [
        path
        for room in ("service", "tests", "deploy", "bench")
        for path in (ROOT / room).glob("**/*.py")
    ]
    found = {name for path in modules for name in raised_in(path.read_text())}

    assert len(found) > 20
    assert {name for name in found if not name.endswith("Error")} == set()


def test_every_error_has_the_common_base_but_those_of_the_pure_rooms_and_of_the_audit() -> None:
    sources = {
        str(path): path.read_text()
        for path in (ROOT / "service").glob("**/*.py")
        if path.relative_to(ROOT / "service").parts[0] not in WITH_A_BASE_OF_THEIR_OWN
    }

    assert without_the_base(sources) == set()


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("class Planted(Exception): ...", {"Planted"}),
        ("class PlantedError(ValueError): ...", {"PlantedError"}),
        ("class A(NetFollowersError): ...\nclass B(A): ...", set()),
    ],
)
def test_a_planted_class_without_the_base_is_found(source: str, missing: set[str]) -> None:
    assert without_the_base({"planted.py": source}) == missing
