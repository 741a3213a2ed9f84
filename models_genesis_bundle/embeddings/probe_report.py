"""Probes of vectors, of other vectors to compare with, and of plain intensities, in one table."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from models_genesis_bundle.embeddings.labelled_vectors import Embeddings, EmbeddingsError, read_labels
from models_genesis_bundle.embeddings.probes import (
    ProbeTask,
    knn_scores,
    linear_scores,
    mean_over_classes,
    retrieval_precision,
    stability,
)
from models_genesis_bundle.metrics import bootstrap_interval, covariate_scores, mean_with_interval

logger = logging.getLogger(__name__)

OWN, PLAIN = "embeddings", "intensity statistics"
_CONFIDENCE = 0.95

Figure = Callable[[np.ndarray], float]  # from rows, which may be repeated, to a value


def probe_embeddings(
    embeddings: str | os.PathLike,
    labels: str | os.PathLike | None = None,
    against: Mapping[str, str | os.PathLike] | None = None,
    label: str | None = None,
    covariate: str | None = None,
    test_section: str | None = None,
    folds: int = 5,
    neighbours: int = 20,
    resamples: int = 1000,
    seed: int = 0,
    shots: int | None = None,
) -> list[dict[str, Any]]:
    """Probe embeddings, embeddings of other files, and the intensity statistics of the same cubes.

    ``embeddings`` and the files in ``against``, by name, are ``embeddings.npz`` of runs of ``configs/embed.yaml`` with the same
    cases. For ``labels``, ``label`` and ``covariate``, which is also probed alone, see ``read_labels``; without labels only the
    stability is measured. For ``test_section``, ``folds``, ``seed`` and ``shots`` see ``ProbeTask``. ``neighbours`` vote in the
    nearest-neighbour probe. Intervals come from ``resamples`` bootstrap samples of the tested patients, without retraining.

    Returns:
        Rows with ``features``, ``probe`` (linear, nearest neighbours, retrieval, or the perturbation), ``metric``, ``value`` with
        ``low`` and ``high``; for other features ``gain``, the embeddings' value minus this one, with ``gain_low`` and
        ``gain_high``; ``n`` and ``patients``.

    Raises:
        EmbeddingsError: files that cannot be used or have other cases; numbers out of range.
        FileNotFoundError: the file of labels does not exist.

    Examples:
        ``probe_embeddings("runs/embed/embeddings.npz", "labels.csv", {"scratch": "runs/scratch/embeddings.npz"})``
    """
    for name, value, least in (("folds", folds, 2), ("neighbours", neighbours, 1), ("resamples", resamples, 1)):
        if not isinstance(value, int) or value < least:
            raise EmbeddingsError(f"{name}: expected a whole number of {least} or more, found {value!r}.")
    own = Embeddings.read(embeddings)
    sets = {OWN: own, **{name: _aligned(own, path) for name, path in (against or {}).items()}}
    if len(sets) <= len(against or {}) or PLAIN in sets:
        raise EmbeddingsError(
            f"against: the names {OWN!r} and {PLAIN!r} are reserved. Choose other names for the files."
        )
    rows: list[dict[str, Any]] = []
    if labels is not None:
        found = read_labels(labels, own, label, covariate)
        section = found["section"].to_numpy(dtype=str) if "section" in found else None
        patients = own.patient[found.index]
        task = ProbeTask(found["label"].to_numpy(), patients, section, test_section, folds, seed, shots)
        features = {name: one.vectors[found.index] for name, one in sets.items()}
        features[PLAIN] = own.statistics[found.index]
        if covariate:
            features[covariate] = found[["covariate"]].to_numpy()
        rows += _probes(features, task, covariate, neighbours, resamples)
    rows += _stability(sets, resamples, seed)
    if not rows:
        raise EmbeddingsError(
            f"{embeddings}: without labels, only the stability can be measured, and this file has no perturbed vectors. Embed with "
            "`--perturbations \"['noise','shift','flip','thickness']\"`, or give --labels."
        )
    return rows


def _aligned(own: Embeddings, path: str | os.PathLike) -> Embeddings:
    """The embeddings of a file, in the order of ``own``."""
    other = Embeddings.read(path)
    order = pd.Index(other.case).get_indexer(own.case)
    missing = own.case[order < 0].tolist()
    if missing or len(other) != len(own):
        raise EmbeddingsError(
            f"{path}: it has other cases: {len(missing)} of {len(own)} are missing"
            + (f", the first is {missing[0]!r}" if missing else f", and it has {len(other)}")
            + ". Embed the same scans with the same places and cube_size."
        )
    return Embeddings.of({name: array[order] for name, array in other.arrays.items()}, other.record)


def _probes(
    features: Mapping[str, np.ndarray], task: ProbeTask, covariate: str | None, neighbours: int, resamples: int
) -> list[dict[str, Any]]:
    counts = {"n": len(task.tested), "patients": len(np.unique(task.groups[task.tested]))}
    rows: list[dict[str, Any]] = []
    reference: dict[str, Figure] = {}  # of the embeddings, which come first
    for name, vectors in features.items():
        logger.info("Probing %s: %d cubes, %d numbers each", name, *vectors.shape)
        linear = linear_scores(vectors, task)
        figures: dict[str, Figure] = {
            "linear": partial(task.quality, linear),
            "nearest neighbours": partial(task.quality, knn_scores(vectors, task, neighbours)),
        }
        if not task.is_regression:
            figures["retrieval"] = partial(mean_over_classes, retrieval_precision(vectors, task), task)
        reference = reference or figures
        for probe, figure in figures.items():
            metric = "mAP" if probe == "retrieval" else "rank correlation" if task.is_regression else "AUC"
            value, low, high = _with_interval(figure, task, resamples)
            row = {"features": name, "probe": probe, "metric": metric, "value": value, "low": low, "high": high}
            if name != OWN:
                gain, low, high = _with_interval(_difference(reference[probe], figure), task, resamples)
                row |= {"gain": gain, "gain_low": low, "gain_high": high}
            rows.append(row | counts)
        if covariate and name != covariate and not task.is_regression and linear.shape[1] == 2:
            rows.append(_matched(name, linear[:, 1], features[covariate][:, 0], covariate, task))
    return rows


def _difference(one: Figure, other: Figure) -> Figure:
    return lambda rows: one(rows) - other(rows)


def _with_interval(figure: Figure, task: ProbeTask, resamples: int) -> tuple[float, float, float]:
    """The figure for the tested rows, and both ends of its interval."""
    patients, owner = np.unique(task.groups[task.tested], return_inverse=True)

    def resampled(times: np.ndarray) -> float:
        return figure(np.repeat(task.tested, times[owner]))

    ends = bootstrap_interval(resampled, len(patients), _CONFIDENCE, resamples, task.seed)
    return figure(task.tested), *ends


def _matched(name: str, scores: np.ndarray, values: np.ndarray, covariate: str, task: ProbeTask) -> dict[str, Any]:
    """The linear probe's AUC among pairs of both classes with similar covariates."""
    rows = task.tested
    figures = covariate_scores(
        task.truth[rows], scores[rows], values[rows], covariate, task.groups[rows], _CONFIDENCE, seed=task.seed
    )[f"auc_matched_by_{covariate}"]
    return {"features": name, "probe": "linear", "metric": f"AUC matched by {covariate}", **_ends(figures)}


def _ends(figures: Mapping[str, float]) -> dict[str, float]:
    return {"value": figures["mean"], "low": figures["low"], "high": figures["high"], "n": figures["n"]}


def _stability(sets: Mapping[str, Embeddings], resamples: int, seed: int) -> list[dict[str, Any]]:
    own = sets[OWN]
    pairs = [
        (name, kind, one.vectors, one.perturbed[f"vectors_{kind}"]) for name, one in sets.items() for kind in one.kinds
    ]
    pairs += [(PLAIN, kind, own.statistics, own.perturbed[f"statistics_{kind}"]) for kind in own.kinds]
    rows = []
    for name, kind, before, after in pairs:
        for metric, values in stability(before, after).items():
            ends = _ends(mean_with_interval(values, own.patient, _CONFIDENCE, resamples, seed))
            row = {"features": name, "probe": kind, "metric": metric, **ends}
            rows.append(row | {"patients": len(np.unique(own.patient))})
    return rows
