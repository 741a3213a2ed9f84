"""Several commands after one another in one process, as `torchrun` starts it: a list of their words, in JSON."""

from __future__ import annotations

import json
import os
import sys

from bundle_commands import run_here

if __name__ == "__main__":
    for number, words in enumerate(json.loads(sys.argv[1])):
        os.environ["TORCHELASTIC_RESTART_COUNT"] = str(number)  # each process group keeps its addresses apart
        run_here(*words)
