"""What the README says about the code is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.cli import build_parser
from service.contract.input_record import Reason
from service.settings import Settings
from tests.shell.readme import README, with_table

ROOT = README.parent
TEXT = README.read_text()
BESIDE = ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")


def test_the_settings_table_is_the_codes() -> None:
    assert with_table(TEXT) == TEXT, "run: python -m tests.shell.readme"


def test_every_test_that_it_names_exists() -> None:
    named = set(re.findall(r"\btest_\w+\b(?!\.py)", TEXT))
    assert named
    written = "\n".join(path.read_text() for path in ROOT.glob("tests/**/test_*.py"))
    assert {name for name in named if f"def {name}(" not in written} == set()


@pytest.mark.parametrize("page", [README.name, *BESIDE])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    paths = re.findall(r"\b(?:tests|docs|service|deploy)/[\w/.-]+\w", text)
    assert links
    assert [name for name in {*links, *paths} if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", BESIDE)
def test_the_readme_names_each_page_beside_it_and_its_make_targets_exist(page: str) -> None:
    assert page in TEXT
    targets = re.findall(r"(?:^ +|`)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert [name for name in targets if f"\n{name}:" not in makefile] == []


def test_every_reason_and_topic_stands_in_it() -> None:
    settings = Settings()
    for name in [*Reason, settings.input_topic, *settings.result_topics]:
        assert f"`{name}`" in TEXT, name


def test_every_command_that_it_shows_parses() -> None:
    shown = re.findall(r"^ +netfollowers ([^#\n]+)", TEXT, re.MULTILINE)
    assert len(shown) >= 4
    for line in shown:
        build_parser().parse_args(line.split())


def test_every_make_target_that_it_names_exists() -> None:
    targets = set(re.findall(r"\bmake ([a-z-]+)", TEXT))
    makefile = (ROOT / "Makefile").read_text()
    assert {"demo", "test", "help", "bench"} <= targets
    assert {name for name in targets if f"\n{name}:" not in makefile} == {"and"} & targets


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
