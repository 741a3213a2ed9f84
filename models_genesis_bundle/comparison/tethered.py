"""Runs a command that ends with the process that started it, whatever ends that process.

It is started as a file, ``python tethered.py COMMAND …``, so that it imports as little as possible. Its standard
input is a pipe whose other end the starting process holds; the system closes it when that process ends, also by SIGKILL.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

__all__ = ["run_tethered"]

PATIENCE = 10  # seconds that a command has to end by itself


def run_tethered(command: list[str]) -> int:
    """Run ``command`` until it ends or standard input closes; returns its exit code, negative for a signal."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_input, args=(process,), daemon=True).start()
    return process.wait()


def _end_with_input(process: subprocess.Popen) -> None:
    os.read(sys.stdin.fileno(), 1)  # returns when the pipe closes; a blocked buffered read would hold up the exit
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    code = run_tethered(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)
