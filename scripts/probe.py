"""Measure what embeddings can predict: python scripts/probe.py --embeddings runs/embed/embeddings.npz --labels labels.csv"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bundle_path import start
from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.embeddings import EmbeddingsError, probe_embeddings
from models_genesis_bundle.files import write_table
from tabulate import tabulate


def probe(
    embeddings: str,
    labels: str | None = None,
    against: dict[str, str] | None = None,
    label: str | None = None,
    covariate: str | None = None,
    test_section: str | None = None,
    output: str | None = None,
    folds: int = 5,
    neighbours: int = 20,
    resamples: int = 1000,
    seed: int = 0,
    shots: int | None = None,
) -> None:
    """Print and write what vectors can predict; docs/how-to/embeddings.md explains the table.

    Args:
        embeddings: embeddings.npz of a run of configs/embed.yaml.
        labels: a CSV, or a JSON datalist; by default only the stability under perturbations is measured.
        against: other files by name, such as "{'scratch': 'runs/embed_scratch/embeddings.npz'}".
        label: the column with the label; by default label or class.
        covariate: the column of a number that may explain the label, such as diameter_mm.
        test_section: train on all other sections and test on this one, instead of a cross-validation.
        output: the CSV; by default probe.csv next to the embeddings.
        folds: number of folds of the cross-validation.
        neighbours: number of neighbours that vote in the nearest-neighbour probe.
        resamples: number of bootstrap samples.
        seed: random seed of folds, resampling and the draw of shots.
        shots: number of patients to train on; by default all.
    """
    if against is not None and not isinstance(against, Mapping):
        sys.exit(
            f"against: expected names and files, such as \"{{'scratch': 'a/embeddings.npz'}}\", found {against!r}."
        )
    rows = probe_embeddings(
        embeddings, labels, against, label, covariate, test_section, folds, neighbours, resamples, seed, shots
    )
    path = write_table(output or Path(embeddings).with_name("probe.csv"), rows)
    print(tabulate([_printed(row) for row in rows], headers="keys", tablefmt="pipe"))
    print(f"{len(rows)} rows: {path}")


def _printed(row: Mapping[str, Any]) -> dict[str, str]:
    gain = _interval(row["gain"], row["gain_low"], row["gain_high"]) if "gain" in row else ""
    return {
        "features": row["features"],
        "probe": row["probe"],
        "metric": row["metric"],
        "value": _interval(row["value"], row["low"], row["high"]),
        "embeddings minus this": gain,
        "n": str(row["n"]),
    }


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f} … {high:.3f})"


if __name__ == "__main__":
    start(probe, DatalistError, EmbeddingsError, FileNotFoundError)
