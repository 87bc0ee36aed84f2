"""Documents with figures say of which commit they are, in a real repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.common.environment import ROOT
from bench.report.figures import ALSO, HOT, WITHOUT_FIGURES, main, measured_line
from tests.support.optional import find, without

pytestmark = pytest.mark.skipif(not find("git"), reason=without("git"))


def git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.invalid"]
    command = ["git", "-C", str(root), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path, files: dict[str, str]) -> str:
    """Write files and commit them. Return the commit."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "a change")
    return head(root)


def head(root: Path) -> str:
    return git(root, "rev-parse", "--short", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one commit, which has code and no document."""
    made = tmp_path / "repository"
    made.mkdir()
    git(made, "init", "-q")
    commit(made, {"service/counting/engine.py": "1", "service/demo/command.py": "1"})
    return made


def document(measured: str) -> str:
    return f"# Bench\n\n{measured_line({'cores': 2, 'commit': measured})}\n\nIt is fast.\n"


def test_figures_of_this_code_are_not_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(root, {"docs/measured/bench.md": document(head(root))})
    commit(root, {"service/demo/command.py": "2"})
    assert main(root=root) == 0
    assert capsys.readouterr().out == "figures: all are of this code\n"


def test_figures_of_older_code_are_told_and_do_not_fail(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = head(root)
    commit(root, {"docs/measured/bench.md": document(measured)})
    commit(root, {"service/counting/engine.py": "2"})
    commit(root, {"service/counting/engine.py": "3", "service/contract/input_record.py": "1"})
    assert main(root=root) == 0
    told = f"2 files of what was measured changed in 2 commits since {measured}"
    assert capsys.readouterr().out == f"OLD FIGURES: docs/measured/bench.md: {told}\n"


def test_a_document_can_depend_on_more_than_the_others(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = document(head(root))
    commit(root, {"docs/measured/bench.md": text, "docs/guide/api.md": text})
    commit(root, {"service/web/server.py": "1"})
    assert main(root=root) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("OLD FIGURES: docs/guide/api.md: 1 files")


def test_a_document_without_the_line_near_its_top_fails(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = "\n" * 20 + document(head(root))
    without = "# Bench\n\nIt is fast.\n"
    commit(root, {"docs/measured/bench.md": without, "docs/measured/soak.md": late})
    assert main(root=root) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" does")[0] for line in lines] == [
        "WRONG: docs/measured/bench.md",
        "WRONG: docs/measured/soak.md",
    ]


def test_a_document_that_has_no_figures_needs_no_line(root: Path) -> None:
    commit(root, {"docs/operate/runbook.md": "# Runbook\n"})
    assert main(root=root) == 0


def test_a_commit_that_is_not_in_the_history_fails(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(root, "checkout", "-qb", "aside")
    aside = commit(root, {"service/counting/engine.py": "2"})
    git(root, "checkout", "-q", "-")
    commit(root, {"docs/measured/bench.md": document(aside)})
    assert main(root=root) == 1
    wrong = f"WRONG: docs/measured/bench.md: no commit {aside} in this history\n"
    assert capsys.readouterr().out == wrong


def test_figures_of_changed_files_name_the_commit_before(root: Path) -> None:
    commit(root, {"docs/measured/bench.md": document(f"{head(root)}+")})
    assert main(root=root) == 0


def test_a_shallow_clone_passes_and_says_so(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = head(root)
    commit(root, {"docs/measured/bench.md": document(measured)})
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{root}", str(shallow))
    assert main(root=shallow) == 0
    told = f"figures: not judged: this is a shallow clone and has no commit {measured}\n"
    assert capsys.readouterr().out == told


def test_without_a_repository_or_git_it_passes_and_says_so(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "docs" / "measured").mkdir(parents=True)
    (tmp_path / "docs" / "measured" / "bench.md").write_text("# Bench\n")
    assert main(root=tmp_path) == 0
    assert capsys.readouterr().out.startswith("figures: not judged: fatal: not a git repository")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(root=root) == 0
    assert capsys.readouterr().out == "figures: not judged: there is no git\n"


def test_all_that_is_named_here_exists() -> None:
    named = {*HOT, *ALSO, *WITHOUT_FIGURES, *(path for paths in ALSO.values() for path in paths)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_a_shard_and_its_journal_are_on_the_way_of_an_event() -> None:
    for file in ("service/runtime/shard.py", "service/runtime/journal.py"):
        assert file.startswith(HOT)
