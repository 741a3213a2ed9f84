"""Commands as child processes that end with their parent.

Each command is started by this file as a program, ``python child_processes.py COMMAND …``. Therefore the file imports only
the standard library.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

PATIENCE = 10  # seconds before a command that does not end is killed


class ChildrenEndedError(RuntimeError):
    """A command was stopped, because `ChildProcesses.end_all` was called."""


class ChildProcesses:
    """Runs commands from several threads, and can end them all.

    A command ends when the pipe on its standard input is closed: by `end_all`, or by the system when this process ends, even
    by SIGKILL. Each command has a separate session, so that Ctrl-C at the terminal reaches only this process.

    Args:
        working_dir: working directory of the commands.
        threads: processor threads of each command (``OMP_NUM_THREADS``).
    """

    def __init__(self, working_dir: Path, threads: int) -> None:
        self.working_dir = working_dir
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        read_end, write_end = os.pipe()
        self._input, self._tether = os.fdopen(read_end, "rb"), os.fdopen(write_end, "wb")
        self._ended = False

    def call(self, words: Sequence[str], log_path: Path) -> int:
        """Run a command, append it and its output to a file, and return its exit code, above 128 if a signal ended it.

        Raises:
            ChildrenEndedError: `end_all` was called before the command ended.
        """
        code = 0
        if not self._ended:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            with log_path.open("ab") as log:
                log.write(f"$ {shlex.join(words)}\n".encode())
                log.flush()
                code = subprocess.run(
                    [sys.executable, "-I", __file__, *words],
                    cwd=self.working_dir,
                    env=self.environment,
                    stdin=self._input,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    check=False,
                ).returncode
        if self._ended:
            raise ChildrenEndedError("the commands were stopped.")
        return code

    def end_all(self) -> None:
        """End all running commands; further calls raise an error."""
        self._ended = True
        self._tether.close()


def _run_tethered(command: list[str]) -> int:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_input, args=(process,), daemon=True).start()
    code = process.wait()
    return code if code >= 0 else 128 - code


def _end_with_input(process: subprocess.Popen) -> None:
    os.read(sys.stdin.fileno(), 1)  # returns when the pipe closes; a buffered read would block the exit
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    sys.exit(_run_tethered(sys.argv[1:]))
