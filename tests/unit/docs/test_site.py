"""The pages of the documentation's web site. `make site` itself fails on a broken link."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.site.__main__ import fetched_elsewhere, main
from deploy.site.pages import (
    FOLDERS,
    PROJECT,
    copy_pages,
    navigation,
    with_blank_lines,
    with_links,
)

ROOT = Path(__file__).parents[3]
COPIED = frozenset({"README.md", "docs/guide/api.md", "docs/guide/page.png"})


def test_every_page_is_on_the_site_and_in_its_navigation(tmp_path: Path) -> None:
    copied = copy_pages(ROOT, tmp_path)
    pages = {name for name in copied if name.endswith(".md")}
    assert {str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")} <= pages
    shown = str(navigation(copied))
    assert [name for name in pages if f"'{name}'" not in shown] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[api](docs/guide/api.md#limits)", "[api](docs/guide/api.md#limits)"),
        ("![page](docs/guide/page.png)", "![page](docs/guide/page.png)"),
        ("[a site](https://example.org)", "[a site](https://example.org)"),
        ("[the engine](service/counting/engine.py)", "the engine"),
        ("[examples](examples)", "examples"),
        ("[gone](docs/gone.md)", "[gone](docs/gone.md)"),
    ],
)
def test_only_a_link_to_a_file_that_the_site_lacks_becomes_text(text: str, shown: str) -> None:
    assert with_links(text, ROOT, "README.md", COPIED) == shown


def test_a_list_gets_a_blank_line_before_it_and_none_inside() -> None:
    text = "Words:\n- one\n  more\n- two\n\n1. a\n2. b\n"
    assert with_blank_lines(text) == "Words:\n\n- one\n  more\n- two\n\n1. a\n2. b\n"


@pytest.mark.parametrize(
    "planted",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="https://fonts.example/css">',
        "<style>@font-face{src:url(//fonts.example/a.woff2)}</style>",
        '<img alt="" src=//img.example/a.png>',
    ],
)
def test_a_page_that_fetches_from_another_host_is_found(planted: str, tmp_path: Path) -> None:
    (tmp_path / "good.html").write_text('<a href="https://example.org">a</a><img src="x.png">')
    assert fetched_elsewhere(tmp_path) == []
    (tmp_path / "bad.html").write_text(planted)
    (line,) = fetched_elsewhere(tmp_path)
    assert line.startswith("bad.html: ")


@pytest.mark.parametrize("planted", ["[gone](gone.md)", "[gone](docs/index.md#gone)"])
def test_a_planted_broken_link_fails_the_build(planted: str, tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="MkDocs is not installed: make site installs it")
    folders = [f"docs/{folder}/page.md" for folder in FOLDERS]
    for name in ("README.md", *PROJECT, "docs/index.md", *folders):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# A page\n")
    assert main(tmp_path) == 0
    (tmp_path / "README.md").write_text(f"# A page\n\n{planted}\n")
    assert main(tmp_path) == 1
