"""Commands as child processes that do not outlive their parent."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from models_genesis_bundle.comparison import tethered

__all__ = ["ChildProcesses", "ChildrenEndedError"]


class ChildrenEndedError(RuntimeError):
    """A command did not run to its end, because `ChildProcesses.end_all` was called."""


class ChildProcesses:
    """Runs commands from several threads at once, and ends them all together.

    Each runs under `tethered` and ends when the shared pipe is closed: by `end_all`, or by the system when this process
    ends for any reason. Each has its own session, so that Ctrl-C at the terminal reaches this process alone.

    Args:
        working_dir: where they run.
        threads: processor threads of each (``OMP_NUM_THREADS``).
    """

    def __init__(self, working_dir: Path, threads: int) -> None:
        self.working_dir = working_dir
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        read_end, write_end = os.pipe()
        self._input, self._tether = os.fdopen(read_end, "rb"), os.fdopen(write_end, "wb")
        self._ended = False

    def call(self, words: Sequence[str], log_path: Path) -> int:
        """Run a command to its end.

        Args:
            words: the command.
            log_path: the command and its output are appended to this file.

        Returns:
            Its exit code; above 128 when a signal ended it.

        Raises:
            ChildrenEndedError: when `end_all` was called before it ended.
        """
        if not self._ended:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            with log_path.open("ab") as log:
                log.write(f"$ {shlex.join(words)}\n".encode())
                log.flush()
                code = subprocess.run(
                    [sys.executable, "-I", tethered.__file__, *words],
                    cwd=self.working_dir,
                    env=self.environment,
                    stdin=self._input,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    check=False,
                ).returncode
        if self._ended:
            raise ChildrenEndedError("the commands were ended.")
        return code

    def end_all(self) -> None:
        """End the commands that run, and refuse further ones."""
        self._ended = True
        self._tether.close()
