"""A child process that never outlives its parent. It can be started, stopped, killed and frozen.

Knows processes and signals, and nothing about the programs in them.
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

# The kernel kills the child when its parent dies, even by `kill -9`. A few lines of Python set this
# up and then become the child (same pid), because `preexec_fn` is not safe with threads and the
# setting survives exec. If the parent died before that, the child sees a changed parent pid.
_TIED: Final = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Child:
    """A process in its own session, so that Ctrl-C reaches only the parent."""

    def __init__(
        self, command: Sequence[str], output: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        """Start `command` (absolute path first). Its stdout and stderr are appended to `output`.

        `environ`: the whole environment of the child; None: that of this process.
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
        """Process id, which is also the id of its process group."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """True until the process has ended, for any reason."""
        return self._process.poll() is None

    def stop(self, within_s: float = _STOPPED_WITHIN_S) -> None:
        """Send SIGTERM, and SIGKILL after `within_s`. Return when the process is gone."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Send SIGKILL, and wait until the process is gone."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """Send SIGSTOP. The process is alive but does nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running:  # not yet reaped, so the pid still belongs to it
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)


def _tie() -> Sequence[str]:
    """Return the prefix of a command that ties a child to the life of this process.

    Linux only. The kernel watches the *thread* that started the child. A thread other than the main
    thread may end earlier than the process, so children of such a thread are not tied. Their owner
    still stops them.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return ()
    return sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid())
