"""Which documents have figures of older code: `python -m bench.report.figures`, in `make check`.

A document with measured figures has a line near its top, in the form of `measured_line`;
`python -m bench.report.figures line` prints it for this machine and commit. Every page of
`docs/measured` must have the line; a page elsewhere in `docs` that has it is judged, too. Old
figures are reported and do not fail. A missing line fails, and so does a commit that is unknown.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.common.environment import ROOT, machine

HOT: Final = (
    "service/counting",
    "service/kafka",
    "service/runtime",
    "service/app.py",
    "service/process.py",
    "service/run.py",
    "service/contract/cloudevents.py",
    "service/contract/input_record.py",
    "service/contract/strict_json.py",
    "service/contract/results.py",
)
"""What an event passes on its way."""
ALSO: Final[Mapping[str, Sequence[str]]] = {
    "docs/guide/api.md": ("service/web", "service/web/server.py"),
    "docs/measured/panels.md": (
        "service/metrics",
        "deploy/dashboards",
        "deploy/prometheus",
    ),
}
"""What the figures of a document depend on besides, by document."""
WITHOUT_FIGURES: Final = frozenset(
    {
        "docs/measured/chaos-found.md",  # what was found then, in code that was corrected
        "docs/measured/speed.md",  # what was tried then, each time against the code before
    }
)
NEAR_THE_TOP: Final = 12
_LINE: Final = re.compile(r"^Measured at commit ([0-9a-f]{7,40})\+? on .+\.$", re.MULTILINE)


class NoGitError(Exception):
    """Nothing can be judged here. The message says why."""


class Found(NamedTuple):
    """The line about one document. Only a wrong document fails the check."""

    text: str
    is_wrong: bool


def measured_line(told: Mapping[str, Any]) -> str:
    """Write the line of a document, from what `bench.common.environment.machine` told of a run."""
    sizes = [f"{told['cores']} cores"]
    sizes += [f"{told['memory_gb']} GB"] if "memory_gb" in told else []
    sizes += [str(told["machine"])] if "machine" in told else []
    sizes += [f"Python {told['python']}"] if "python" in told else []
    return f"Measured at commit {told.get('commit', 'unknown')} on {', '.join(sizes)}."


def commit_of(text: str) -> str | None:
    """Find the commit in the line near the top of a document."""
    found = _LINE.search("\n".join(text.splitlines()[:NEAR_THE_TOP]))
    return found[1] if found else None


def judge(root: Path) -> list[Found]:
    """Look at each document and return a finding for each. NoGitError if nothing can be judged."""
    is_shallow = _git(root, "rev-parse", "--is-shallow-repository").strip() == "true"
    found = []
    for path in sorted((root / "docs").glob("**/*.md")):
        name = path.relative_to(root).as_posix()
        measured = commit_of(path.read_text())
        is_judged = measured is not None or name.startswith("docs/measured/")
        if is_judged and name not in WITHOUT_FIGURES:
            found += _judge_one(root, name, measured, is_shallow=is_shallow)
    return found


def _judge_one(root: Path, name: str, measured: str | None, *, is_shallow: bool) -> list[Found]:
    if measured is None:
        hint = "Measured at commit COMMIT on MACHINE."
        return [Found(f"{name} does not say near its top: {hint}", is_wrong=True)]
    if not _is_in_history(root, measured):
        if is_shallow:
            message = f"this is a shallow clone and has no commit {measured}"
            raise NoGitError(message)
        return [Found(f"{name}: no commit {measured} in this history", is_wrong=True)]
    changed = _changed(root, measured, (*HOT, *ALSO.get(name, ())))
    return [Found(f"{name}: {changed} since {measured}", is_wrong=False)] if changed else []


def _is_in_history(root: Path, measured: str) -> bool:
    return _run(root, "merge-base", "--is-ancestor", measured, "HEAD").returncode == 0


def _changed(root: Path, measured: str, paths: Sequence[str]) -> str:
    """Say how much has changed; '' if nothing has."""
    since = f"{measured}..HEAD"
    files = _git(root, "diff", "--name-only", since, "--", *paths).splitlines()
    commits = _git(root, "rev-list", "--count", since, "--", *paths).strip()
    return f"{len(files)} files of what was measured changed in {commits} commits" if files else ""


def _git(root: Path, *arguments: str) -> str:
    done = _run(root, *arguments)
    if done.returncode != 0:
        raise NoGitError(done.stderr.strip().partition("\n")[0])
    return done.stdout


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    git = shutil.which("git")
    if git is None:
        message = "there is no git"
        raise NoGitError(message)
    command = [git, "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def main(arguments: Sequence[str] = (), root: Path = ROOT) -> int:
    """Print a line for each document.

    Return 1 if a document has no line, or if its line names an unknown commit. `line`: print the
    line of a document that is measured here and now.
    """
    if list(arguments) == ["line"]:
        print(measured_line(machine()))
        return 0
    try:
        found = judge(root)
    except NoGitError as why:
        print(f"figures: not judged: {why}")
        return 0
    for one in found:
        print(f"{'WRONG' if one.is_wrong else 'OLD FIGURES'}: {one.text}")
    if not found:
        print("figures: all are of this code")
    return 1 if any(one.is_wrong for one in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
