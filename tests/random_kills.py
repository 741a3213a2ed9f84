"""Kills the three trainings at random moments, resumes them, and compares the ends with those of runs that were never stopped.

    python tests/random_kills.py --kills 100

It is no test, since it takes its time: a kill costs about as much as an epoch of the smallest training. Each process is a
fork of this one, which has imported everything, and gets SIGKILL, SIGTERM or SIGINT at any moment of its life. A run that
has come to its end is compared and started anew, until all kills are spent; then the last one is brought to its end.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import fire
import torch
from bundle_commands import TINY, arguments, run_here
from models_genesis_bundle.data import make_phantoms, phantom_candidates
from models_genesis_bundle.engines import read_metrics
from models_genesis_bundle.weights import read_checkpoint

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ENDED_BY_A_SIGNAL = {130, 143, -signal.SIGKILL, -signal.SIGTERM}
OF_THE_CLOCK = ("train_seconds", "cubes_per_second", "data_wait_fraction")


def trainings(phantoms: Path) -> dict[str, list[str]]:
    """The words of each training, without its folder: a network with dropout and a worker among them."""
    small = {"precision": "float32", "max_epochs": 3, "initial_weights": "none"}
    labelled = {"network_def::features": "[4,8]", **small}
    pretraining = {
        **TINY, **small, "dataset_dir": phantoms / "images", "network_def::features": "[4,4,8,8,8,4]",
        "network_def::dropout": 0.3, "batch_size": 2, "learning_rate": 0.01,
    }  # fmt: skip
    segmentation = {
        **labelled, "dataset_dir": phantoms, "label_names": "['lung','nodule']", "patch_size": "[32,32,16]", "num_workers": 1,
        "batch_size": 1,
    }  # fmt: skip
    classification = {
        **labelled, "network_def::hidden": 8, "cube_size": "[16,16,16]", "num_workers": 0, "volumes::num_workers": 0,
        "dataset_dir": phantoms / "images", "candidates_file": phantom_candidates(phantoms),
    }  # fmt: skip
    return {
        "pretraining": words("['configs/pretrain.yaml','configs/network_basicunet.yaml']", pretraining),
        "segmentation": words("configs/finetune_segmentation.yaml", segmentation),
        "classification": words("configs/finetune_classification.yaml", classification),
    }


def words(config_file: str, settings: dict) -> list[str]:
    return ["run", "training", "--config_file", config_file, *arguments(**settings)]


def live(command: list[str], log: Path, seconds: float, number: int) -> int:
    """Run a command in a fork that gets a signal after some seconds; its exit status, below 0 for a signal's."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with log.open("ab") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            run_here(*command)
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        except KeyboardInterrupt:
            status = 130
        except BaseException as error:
            traceback.print_exc()
            if interrupted(error):
                status = 130
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C led to an error: the import by which MONAI finds a class turns KeyboardInterrupt into another error."""
    return error is not None and (isinstance(error, KeyboardInterrupt) or interrupted(error.__context__))


def end_of(folder: Path) -> tuple:
    """What two runs must have in common: weights, optimizer, best epoch, random states and the table."""
    state = read_checkpoint(folder / "checkpoints" / "last.pt")
    lines = [
        {name: line[name] for name in line if name not in OF_THE_CLOCK} for line in read_metrics(folder / "metrics.csv")
    ]
    best = read_checkpoint(folder / "checkpoints" / "model.pt")
    return state, lines, best["model"], best["epoch"]


def same(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def main(kills: int = 100, seed: int = 0, minutes: float = float("inf")) -> None:
    """Kill and compare; exit with status 1 when a run does not resume or ends otherwise.

    Args:
        kills: of all trainings together.
        seed: of the moments and signals.
        minutes: after which no more kill is begun.
    """
    draw, until = random.Random(seed), time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        phantoms = Path(make_phantoms(root / "phantoms", count=4, size=(64, 64, 48), spacing=(5.0, 5.0, 6.0)))
        for number, (name, command) in enumerate(trainings(phantoms).items()):
            counts = {"training": name, "kills": 0, "resumed to the end": 0, "exact": 0, "by signal": {}}
            whole, log, begun = root / name, root / f"{name}.log", time.monotonic()
            if live([*command, "--output_dir", str(whole)], log, 1e6, signal.SIGKILL):
                sys.exit(f"{name} does not run:\n{log.read_text()[-4000:]}")
            wanted, lasted = end_of(whole), time.monotonic() - begun
            share, attempt, resume = (kills + number) // 3, 0, []
            while True:
                killed = counts["kills"] < share and time.monotonic() < until
                if not (killed or resume):
                    break
                moment, kind = (draw.uniform(0, lasted) if killed else 1e6), draw.choice(SIGNALS)
                folder = root / f"{name}_{attempt}"
                status = live([*command, "--output_dir", str(folder), *resume], log, moment, kind)
                if status in ENDED_BY_A_SIGNAL:
                    counts["kills"] += 1
                    counts["by signal"][kind.name] = counts["by signal"].get(kind.name, 0) + 1
                    resume = ["--resume", "true"]
                elif status == 0:
                    counts["resumed to the end"] += bool(resume)
                    counts["exact"] += bool(resume) and same(end_of(folder), wanted)
                    attempt, resume = attempt + 1, []
                else:
                    sys.exit(f"{name} ended with status {status}:\n{log.read_text()[-4000:]}")
            print(json.dumps(counts), flush=True)
            if counts["exact"] < counts["resumed to the end"]:
                sys.exit(f"{name}: a resumed run ended otherwise than one that was never stopped.")


if __name__ == "__main__":
    fire.Fire(main)
