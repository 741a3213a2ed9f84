"""Commands as child processes that do not outlive their parent."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from models_genesis_bundle.comparison import tethered

__all__ = ["ChildProcesses", "ChildrenEndedError"]


class ChildrenEndedError(RuntimeError):
    """A command did not run to its end, because all were told to end."""


class ChildProcesses:
    """Runs commands from several threads at once, and ends them all together.

    Each runs below `tethered`, so that it ends with this process in whatever way that happens, and in a session of its
    own, so that a Ctrl-C at the terminal reaches this process alone.

    Args:
        working_dir: where they run.
        threads: processor threads of each (``OMP_NUM_THREADS``).
    """

    def __init__(self, working_dir: Path, threads: int) -> None:
        self.working_dir = working_dir
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen] = set()
        self._ended = False

    def call(self, words: Sequence[str], log_path: Path) -> int:
        """Run a command to its end.

        Args:
            words: the command.
            log_path: gets the command and what it prints, behind what is there.

        Returns:
            Its exit code; above 128 when a signal ended it.

        Raises:
            ChildrenEndedError: when `end_all` was called before it ended.
        """
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            log.write(f"$ {shlex.join(words)}\n".encode())
            log.flush()
            with self._lock:
                self._require_not_ended()
                process = subprocess.Popen(
                    [sys.executable, "-I", tethered.__file__, *words],
                    cwd=self.working_dir,
                    env=self.environment,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self._running.add(process)
        code = process.wait()
        with self._lock:
            self._running.discard(process)
            self._cut(process)
            self._require_not_ended()
        return code

    def end_all(self) -> None:
        """End the commands that run, and refuse further ones."""
        with self._lock:
            self._ended = True
            for process in self._running:
                self._cut(process)

    @staticmethod
    def _cut(process: subprocess.Popen) -> None:
        assert process.stdin is not None, "the tether is a pipe"
        process.stdin.close()

    def _require_not_ended(self) -> None:
        if self._ended:
            raise ChildrenEndedError("the commands were told to end.")
