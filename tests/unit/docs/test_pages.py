"""What the README and the pages of docs/ say about the code is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from scripts.write_settings_table import PAGE, with_table
from service.cli import build_parser
from service.contract.input_record import Reason
from service.settings import Settings
from tests.unit.docs.user_texts import pages

ROOT: Final = Path(__file__).parents[3]
MAX_README_LINES: Final = 130
BESIDE: Final = ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")


def read(page: str) -> str:
    return (ROOT / page).read_text()


def links(page: str) -> list[str]:
    """Return the files that a page links to, without anchors and addresses."""
    return re.findall(r"\]\((?!https?:)([^)#\s]+)", read(page))


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= MAX_README_LINES


def test_the_settings_table_is_the_codes() -> None:
    text = PAGE.read_text()
    assert with_table(text) == text, "run: python -m scripts.write_settings_table"


def test_every_test_that_a_page_names_exists() -> None:
    text = "\n".join(map(read, pages()))
    named = set(re.findall(r"\btest_\w+\b(?!\.py)", text))
    assert len(named) >= 40
    written = "\n".join(path.read_text() for path in ROOT.glob("tests/**/test_*.py"))
    assert {name for name in named if f"def {name}(" not in written} == set()


@pytest.mark.parametrize("page", pages())
def test_every_file_that_a_page_names_exists(page: str) -> None:
    paths = re.findall(
        r"\b(?<!/)(?:tests|verify|scripts|docs|service|deploy)/[\w/.-]+\w", read(page)
    )
    assert [name for name in paths if not (ROOT / name).exists()] == []


def test_every_link_leads_to_a_file() -> None:
    everywhere = [str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")]
    linked = [(page, link) for page in {*pages(), *everywhere} for link in links(page)]
    assert len(linked) >= 100
    assert [
        (page, link) for page, link in linked if not (ROOT / page).parent.joinpath(link).exists()
    ] == []


def test_the_index_leads_to_every_page() -> None:
    linked = {(ROOT / "docs" / link).resolve() for link in links("docs/index.md")}
    folders = ("guide", "operate", "design", "measured", "contract")
    inside = {path.resolve() for name in folders for path in ROOT.glob(f"docs/{name}/*.md")}
    assert inside - linked == set()


@pytest.mark.parametrize("page", BESIDE)
def test_the_readme_names_each_page_beside_it_and_its_make_targets_exist(page: str) -> None:
    assert page in read("README.md")
    targets = re.findall(r"(?:^ +|`)make ([a-z-]+)", read(page), re.MULTILINE)
    assert [name for name in targets if f"\n{name}:" not in read("Makefile")] == []


def test_every_reason_and_topic_stands_in_the_page_of_results() -> None:
    settings = Settings()
    text = read("docs/guide/results.md")
    for name in [*Reason, settings.input_topic, *settings.result_topics]:
        assert f"`{name}`" in text, name


@pytest.mark.parametrize("page", ["README.md", "docs/operate/running.md"])
def test_every_command_that_a_page_shows_parses(page: str) -> None:
    shown = re.findall(r"^ +netfollowers ([^#\n]+)", read(page), re.MULTILINE)
    assert len(shown) >= 4
    for line in shown:
        build_parser().parse_args(line.split())


@pytest.mark.parametrize("page", ["README.md", "docs/design/tests.md"])
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    targets = set(re.findall(r"\bmake ([a-z-]+)", read(page)))
    assert "bench" in targets
    assert [name for name in targets - {"and"} if f"\n{name}:" not in read("Makefile")] == []


def test_no_absolute_path_or_registry_is_in_the_repository() -> None:
    files = [path for path in ROOT.glob("**/*") if _is_ours(path)]
    words = re.compile(r"/(?:root|home|work)/\w|pypi\.(?:org|python)|registry\.npmjs|repo1?\.maven")
    found = {path: words.findall(path.read_text()) for path in files if path != Path(__file__)}
    assert {path: hits for path, hits in found.items() if hits} == {}


def _is_ours(path: Path) -> bool:
    skipped = {".venv", ".kafka", ".git", "build", "demo-output", "bench-output"}
    skipped |= {"node_modules", "bin", "target"}  # what the examples' toolchains make
    inside = path.relative_to(ROOT).parts
    kinds = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".xml", ""}
    is_skipped = skipped & set(inside) or any(part.startswith(".") for part in inside[:1])
    return path.is_file() and not is_skipped and path.suffix in kinds
