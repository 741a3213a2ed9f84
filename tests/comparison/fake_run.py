"""Replaces a fine-tuning and its evaluation: the same command line and the same files, but no network.

``python fake_run.py training|evaluating --name value …`` in a folder with ``journal.txt`` and ``pids.txt``, to which it adds
a line at its start. A file ``fail`` there names the arms that fail; a file ``delay`` holds seconds that an epoch takes; with a
file ``forget`` an evaluation leaves nothing.
"""

import csv
import json
import os
import sys
import time
from pathlib import Path

EPOCHS = 8


def main(step, *words):
    settings = {name[2:]: value for name, value in zip(words[::2], words[1::2], strict=True)}
    folder = Path(settings["output_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    with Path("journal.txt").open("a") as journal:
        journal.write(
            f"{step} {folder.parent.name if step == 'evaluating' else folder.name} {settings.get('resume')}\n"
        )
    with Path("pids.txt").open("a") as pids:
        pids.write(f"{os.getpid()}\n")
    (train if step == "training" else evaluate)(folder, settings)


def train(folder, settings):
    recorded = {
        **{name: value for name, value in settings.items() if name not in ("config_file", "resume")},
        "seed": int(settings["seed"]),
    }
    recorded |= {name: float(settings[name]) for name in ("label_fraction", "shots") if name in settings}
    (folder / "config.yaml").write_text(json.dumps(recorded))
    print("epoch 1/8\repoch 2/8")
    if folder.name in file_words("fail"):
        print("RuntimeError: it could not be done")
        sys.exit(3)
    table = folder / "metrics.csv"
    lines = list(csv.DictReader(table.open())) if settings.get("resume") and table.exists() else []
    gain = 0.1 if settings["initial_weights"] != "none" else 0.0
    for epoch in range(len(lines) + 1, EPOCHS + 1):
        time.sleep(float((file_words("delay") or [0])[0]))
        value = 0.5 + gain + 0.01 * int(settings["seed"]) + 0.1 * float(settings.get("label_fraction", 0))
        lines.append({"epoch": epoch, "train_loss": 1 / epoch, "val_mean_dice": value - 0.3 / epoch**2})
        unfinished = table.with_suffix(".unfinished")
        with unfinished.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
        unfinished.replace(table)


def evaluate(folder, settings):
    if Path("forget").exists():
        return
    lines = list(csv.DictReader((folder.parent / "metrics.csv").open()))
    score = float(lines[-1]["val_mean_dice"]) - 0.02 * float(settings.get("penalty", 0))
    metrics = {"dice_mean": {"mean": score, "n": 3}, "hd95_mm_mean": {"mean": None if score < 0.6 else 1.5, "n": 3}}
    (folder / "summary.json").write_text(json.dumps({"metrics": metrics}))
    cases = "".join(f"case_{number},patient_{number // 2}\n" for number in range(3))
    (folder / "scores.csv").write_text("case,patient\n" + cases)


def file_words(name):
    return Path(name).read_text().split() if Path(name).exists() else []


if __name__ == "__main__":
    main(*sys.argv[1:])
