"""One child process that never outlives us: started, stopped, killed, frozen.

Knows processes and signals; knows nothing of what runs in them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_STOPPED_WITHIN_S: Final = 10.0

# The kernel kills the child when its parent dies, even by `kill -9`. Set by a few lines of Python
# that then become the child (same pid): `preexec_fn` is not safe with threads, and the setting
# survives exec. A parent that died before the setting is seen by its changed pid.
_TIED: Final = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Child:
    """A process in a session of its own, so that Ctrl-C reaches us and not it."""

    def __init__(
        self, command: Sequence[str], output: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        """Start `command` (absolute path first); stdout and stderr are appended to `output`.

        `environ`: its whole environment; ours if None.
        """
        with output.open("ab") as sink:
            self._process = subprocess.Popen(  # noqa: S603
                [*_tie(), *command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=environ,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id, and id of its process group."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """True until it has ended, by itself or not."""
        return self._process.poll() is None

    def stop(self, within_s: float = _STOPPED_WITHIN_S) -> None:
        """SIGTERM, ten seconds, SIGKILL. Returns when it is gone."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: it is alive and does nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running:  # unreaped, so the pid is still its own
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)


def _tie() -> Sequence[str]:
    """Prefix a command that ties it to our life.

    Linux only. The kernel means the *thread* that started it: any other than the main thread may
    end long before we do, so a child of such a thread is not tied (its owner still stops it).
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return ()
    return sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid())
