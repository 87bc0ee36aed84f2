"""The locks, with the oldest pip that Python 3.11 ships and with the newest one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy import install

OLDEST_PIP = "pip==22.3"  # of Python 3.11.0
NEWEST_PIP = "pip"


def made_with(pip: str, venv: Path) -> Path:
    """Make a virtual environment with another pip. Return its Python."""
    python = venv / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    upgrade = [str(python), "-m", "pip", "install", "--quiet", "--upgrade", pip]
    if subprocess.run(upgrade, check=False).returncode:
        pytest.skip(f"no package registry answers: {pip} cannot be had")
    return python


@pytest.mark.parametrize("pip", [OLDEST_PIP, NEWEST_PIP], ids=["oldest", "newest"])
def test_every_lock_installs_with_the_oldest_and_the_newest_pip(pip: str, tmp_path: Path) -> None:
    python = made_with(pip, tmp_path / "venv")

    for lock in install.LOCKS:
        done = subprocess.run(
            [str(python), "-m", "deploy.install", lock],
            cwd=install.ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert done.returncode == 0, done.stdout + done.stderr
        assert "  installed in " in done.stdout
    asked = [str(python), "-c", "import faust, aiokafka, matplotlib, mypy, service.cli"]
    subprocess.run(asked, check=True, cwd=install.ROOT)


def test_what_a_lock_lacks_is_told_and_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = (install.ROOT / "requirements" / "tools.txt").read_text("utf-8")
    begins = lock.index("\naiohttp==") + 1
    alone = lock[begins : lock.index("\naiohttp-cors==")]
    (tmp_path / "alone.txt").write_text(alone, encoding="utf-8")
    python = made_with(NEWEST_PIP, tmp_path / "venv")
    monkeypatch.setattr(install, "_PIP", (str(python), *install._PIP[1:]))
    monkeypatch.setattr(install, "_INSTALL", (str(python), *install._INSTALL[1:]))

    install.install(tmp_path / "alone.txt")

    with pytest.raises(
        install.InstallError, match=r"aiohttp .* requires .*, which is not installed"
    ):
        install.check()
