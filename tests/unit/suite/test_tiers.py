"""Every test is in one tier, by one table, and no tier has what it promises not to have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tiers import FIXTURES, TABLE, TIERS, NoRowError, tier_of, tiers_in

ROOT = Path(__file__).parents[3]
FILES = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")]


def test_every_test_file_has_a_tier_and_every_row_a_file() -> None:
    assert {tier_of(file) for file in FILES} == set(TIERS)
    for row in TABLE:
        path, _, test = row.partition("::")
        assert (ROOT / path).exists(), row
        assert not test or f"def {test.partition('[')[0]}(" in (ROOT / path).read_text(), row


def test_a_test_file_in_another_folder_is_an_error() -> None:
    with pytest.raises(NoRowError):
        tier_of("tests/elsewhere/test_new.py::test_one")


def test_the_longest_path_that_fits_decides() -> None:
    assert tier_of("tests/unit/web/test_merge.py::test_one") == "unit"
    assert tier_of("tests/integration/web/test_page.py::test_one[a/b]") == "rest"
    assert tier_of("tests/integration/web/test_new.py::test_one") == "test"


@pytest.mark.parametrize("fixture", FIXTURES)
def test_a_fixture_lifts_a_test_and_never_lowers_it(fixture: str) -> None:
    tiers = [
        tier_of(f"{path}::test_one", [fixture])
        for path in ("tests/unit/counting", "tests/integration/examples")
    ]
    assert tiers == [FIXTURES[fixture], "rest"]


def test_the_targets_of_make_run_every_tier_and_none_twice() -> None:
    makefile = (ROOT / "Makefile").read_text()
    chosen = dict(re.findall(r"^([a-z-]+):.*\n\t@\$\(PYTEST\)(.*)$", makefile, re.MULTILINE))
    chosen.pop("coverage")  # the engine's own tests once more
    assert chosen == {
        "unit": " -m unit",
        "test": ' -m "unit or test"',
        "test-rest": " -m rest",
        "test-all": "",
    }


def test_each_collected_test_is_marked_with_its_tier(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        marks = {mark.name for mark in item.iter_markers()}
        fixtures = set(getattr(item, "fixturenames", ()))
        assert marks & set(TIERS) == {tier_of(item.nodeid, fixtures)}
        assert "unit" not in marks or not fixtures & {"kafka", "tansu", "prometheus"}


@pytest.mark.parametrize(
    ("expression", "tiers"),
    [
        ("unit", {"unit"}),
        ("unit or test", {"unit", "test"}),
        ("", set(TIERS)),
        ("tools", set(TIERS)),
        ("not unit", set(TIERS)),
        ("unit and tools", set(TIERS)),
    ],
)
def test_a_file_is_left_out_only_if_none_of_its_tests_can_be_chosen(
    expression: str, tiers: set[str]
) -> None:
    assert tiers_in(expression) == tiers
