"""Probes of vectors, of others to compare with and of plain intensities, in one table."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from models_genesis_bundle.embeddings.embeddings_file import Embeddings, EmbeddingsError
from models_genesis_bundle.embeddings.labels import Labels, read_labels
from models_genesis_bundle.embeddings.probes import (
    ProbeTask,
    knn_scores,
    linear_scores,
    mean_over_classes,
    retrieval_precision,
    stability,
)
from models_genesis_bundle.metrics import bootstrap_interval, covariate_scores, mean_with_interval

__all__ = ["probe_embeddings"]

logger = logging.getLogger(__name__)

OWN, PLAIN = "embeddings", "intensity statistics"
_CONFIDENCE = 0.95

Statistic = Callable[[np.ndarray], float]  # of rows, some perhaps several times


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
    """Probe embeddings, those of other files, and the intensity statistics of the same cubes.

    Intervals are bootstrap intervals over the tested patients; the models are not trained again for them.

    Args:
        embeddings: ``embeddings.npz`` of a run of ``configs/embed.yaml``.
        labels: see ``read_labels``; None: only the stability is measured.
        against: by name, files with the same cases to compare with, such as those of random weights.
        label: column of the labels.
        covariate: column of a number that may explain the label; it is probed alone as well.
        test_section: the section of the labels to test after learning from all others; None: cross-validation by patient.
        folds: of the cross-validation.
        neighbours: that vote in the nearest-neighbour probe.
        resamples: bootstrap samples.
        seed: of folds, resampling and the draw of `shots`.
        shots: number of patients to learn from; None: all.

    Returns:
        Rows with ``features``, ``probe`` (linear, nearest neighbours, retrieval, or the perturbation), ``metric``, ``value`` with
        ``low`` and ``high``; for other features ``gain``, the embeddings' value minus this one, with ``gain_low`` and
        ``gain_high``; ``n`` and ``patients``.

    Raises:
        EmbeddingsError: files that cannot be used, or that have other cases.
        FileNotFoundError: the file of labels does not exist.

    Examples:
        ``probe_embeddings("runs/embed/embeddings.npz", "labels.csv", {"scratch": "runs/scratch/embeddings.npz"})``
    """
    own = Embeddings.read(embeddings)
    sets = {OWN: own, **{name: _aligned(own, path) for name, path in (against or {}).items()}}
    if len(sets) <= len(against or {}) or PLAIN in sets:
        raise EmbeddingsError(f"against: give the files other names than {OWN!r} and {PLAIN!r}.")
    draws = {"resamples": resamples, "seed": seed}
    rows = [] if labels is None else _probes(
        sets, read_labels(labels, own, label, covariate), covariate, test_section, folds, neighbours, draws, shots
    )  # fmt: skip
    rows += _stability(sets, draws)
    if not rows:
        raise EmbeddingsError(
            f"{embeddings}: without labels only the stability can be measured, and these vectors have none: embed them with "
            "`--perturbations \"['noise','shift','flip','thickness']\"`, or give --labels."
        )
    return rows


def _aligned(own: Embeddings, path: str | os.PathLike) -> Embeddings:
    """The embeddings of a file in the order of others."""
    other = Embeddings.read(path)
    place = {case: number for number, case in enumerate(other.case.tolist())}
    missing = [case for case in own.case.tolist() if case not in place]
    if missing or len(place) != len(own):
        raise EmbeddingsError(
            f"{path}: it has other cases: {len(missing)} of {len(own)} are not there"
            + (f", the first is {missing[0]!r}" if missing else f", and it has {len(place)}")
            + ". Embed the same scans with the same places and cube_size."
        )
    return other.at(np.array([place[case] for case in own.case.tolist()]))


def _probes(
    sets: Mapping[str, Embeddings],
    labels: Labels,
    covariate: str | None,
    test_section: str | None,
    folds: int,
    neighbours: int,
    draws: Mapping[str, Any],
    shots: int | None,
) -> list[dict[str, Any]]:
    own = sets[OWN]
    patients = own.patient[labels.rows]
    task = ProbeTask(labels.values, patients, labels.section, test_section, folds, draws["seed"], shots)
    features = {name: found.vectors[labels.rows] for name, found in sets.items()}
    features[PLAIN] = own.statistics[labels.rows]
    if covariate and labels.covariate is not None:
        features[covariate] = labels.covariate[:, None]
    rows: list[dict[str, Any]] = []
    reference: dict[str, Statistic] = {}
    for name, vectors in features.items():
        logger.info("Probing %s: %d cubes, %d numbers each", name, *vectors.shape)
        linear = linear_scores(vectors, task)
        for probe, statistic in _statistics(vectors, linear, task, neighbours).items():
            metric = "mAP" if probe == "retrieval" else task.metric
            row = {"features": name, "probe": probe, "metric": metric, **_with_interval(statistic, task, draws)}
            if name == OWN:
                reference[probe] = statistic
            else:
                gain = _with_interval(_difference(reference[probe], statistic), task, draws)
                row |= {"gain": gain["value"], "gain_low": gain["low"], "gain_high": gain["high"]}
            rows.append(row | _counts(task))
        if covariate and name != covariate and not task.is_regression and linear.shape[1] == 2:
            rows.append(_matched(name, linear[:, 1], features[covariate][:, 0], covariate, task))
    return rows


def _statistics(vectors: np.ndarray, linear: np.ndarray, task: ProbeTask, neighbours: int) -> dict[str, Statistic]:
    """The figure of each probe on some rows."""
    nearest = knn_scores(vectors, task, neighbours)
    statistics: dict[str, Statistic] = {
        "linear": lambda rows: task.quality(linear, rows),
        "nearest neighbours": lambda rows: task.quality(nearest, rows),
    }
    if not task.is_regression:
        precision = retrieval_precision(vectors, task)
        statistics["retrieval"] = lambda rows: mean_over_classes(precision, task, rows)
    return statistics


def _difference(one: Statistic, other: Statistic) -> Statistic:
    return lambda rows: one(rows) - other(rows)


def _with_interval(statistic: Statistic, task: ProbeTask, draws: Mapping[str, Any]) -> dict[str, float]:
    patients, owner = np.unique(task.groups[task.tested], return_inverse=True)

    def resampled(times: np.ndarray) -> float:
        return statistic(np.repeat(task.tested, times[owner]))

    low, high = bootstrap_interval(resampled, len(patients), _CONFIDENCE, **draws)
    return {"value": statistic(task.tested), "low": low, "high": high}


def _matched(name: str, scores: np.ndarray, values: np.ndarray, covariate: str, task: ProbeTask) -> dict[str, Any]:
    """The linear probe's AUC among pairs of both classes with nearly the same covariate."""
    rows = task.tested
    figures = covariate_scores(
        task.truth[rows], scores[rows], values[rows], covariate, task.groups[rows], _CONFIDENCE, seed=task.seed
    )[f"auc_matched_by_{covariate}"]
    ends = {"value": figures["mean"], "low": figures["low"], "high": figures["high"]}
    return {"features": name, "probe": "linear", "metric": f"AUC matched by {covariate}", **ends, "n": figures["n"]}


def _counts(task: ProbeTask) -> dict[str, int]:
    return {"n": len(task.tested), "patients": len(np.unique(task.groups[task.tested]))}


def _stability(sets: Mapping[str, Embeddings], draws: Mapping[str, Any]) -> list[dict[str, Any]]:
    pairs = [
        (name, kind, found.vectors, changed)
        for name, found in sets.items()
        for kind, (changed, _) in found.perturbed.items()
    ]
    own = sets[OWN]
    pairs += [(PLAIN, kind, own.statistics, changed) for kind, (_, changed) in own.perturbed.items()]
    rows = []
    for name, kind, before, after in pairs:
        for metric, values in stability(before, after).items():
            found = mean_with_interval(values, own.patient, _CONFIDENCE, **draws)
            ends = {"value": found["mean"], "low": found["low"], "high": found["high"]}
            counts = {"n": found["n"], "patients": len(np.unique(own.patient))}
            rows.append({"features": name, "probe": kind, "metric": metric, **ends, **counts})
    return rows
