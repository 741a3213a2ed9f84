"""Several commands after one another in one process, as `torchrun` starts it: a list of their words, in JSON."""

from __future__ import annotations

import json
import sys

from bundle_commands import run_here

if __name__ == "__main__":
    for words in json.loads(sys.argv[1]):
        run_here(*words)
