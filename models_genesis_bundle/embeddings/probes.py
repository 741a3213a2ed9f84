"""What can be predicted from vectors by the simplest means: a linear model, the nearest neighbours, retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from models_genesis_bundle.embeddings.embeddings_file import EmbeddingsError
from models_genesis_bundle.metrics.bootstrap import patient_numbers
from scipy.stats import spearmanr
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedGroupKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

__all__ = ["ProbeTask", "knn_scores", "linear_scores", "mean_over_classes", "retrieval_precision"]

_MOST_CLASSES = 10
_LOGISTIC = {"logisticregression__C": np.logspace(-4, 2, 7)}
_RIDGE = {"ridge__alpha": np.logspace(-2, 5, 8)}
_INNER_FOLDS = 3


@dataclass(frozen=True)
class ProbeTask:
    """What is to be predicted, for whom, and from whose vectors.

    Labels are classes, unless they are numbers of which more than ten differ: then they are predicted as numbers.

    Args:
        labels: (n,) of the cubes.
        patients: (n,) whom each belongs to; no patient is learnt from and tested on at once.
        section: (n,) list of each, with `test_section`; None: cross-validation over all patients.
        test_section: the list that is tested, by what all others teach; None: cross-validation.
        folds: of the cross-validation.
        seed: of its folds.

    Raises:
        EmbeddingsError: one class only, too few patients of a class, or a patient on both sides of the test.
    """

    labels: np.ndarray
    patients: np.ndarray
    section: np.ndarray | None = None
    test_section: str | None = None
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if len(np.unique(self.labels)) < 2:
            raise EmbeddingsError(f"labels: every cube has the label {self.labels[0]}; two classes are the least.")
        for learn, _ in self.splits:
            if not self.is_regression and len(np.unique(self.truth[learn])) < len(np.unique(self.truth)):
                raise EmbeddingsError(
                    "labels: the cubes that are learnt from lack a class. Take fewer folds, or more cubes."
                )

    @cached_property
    def is_regression(self) -> bool:
        """Whether labels are numbers to predict."""
        return self.labels.dtype.kind in "iuf" and len(np.unique(self.labels)) > _MOST_CLASSES

    @cached_property
    def truth(self) -> np.ndarray:
        """(n,) the numbers, or the classes numbered in sorted order."""
        if self.is_regression:
            return self.labels.astype(float)
        return np.unique(self.labels, return_inverse=True)[1]

    @cached_property
    def groups(self) -> np.ndarray:
        """(n,) the patients, numbered."""
        return patient_numbers(self.patients, len(self.labels))

    @cached_property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows to learn from and rows to test, fold by fold."""
        if self.test_section is None:
            return self._folds(np.arange(len(self.labels)), self.folds)
        sections = np.full(len(self.labels), "") if self.section is None else self.section
        test = sections == self.test_section
        if not test.any() or test.all():
            raise EmbeddingsError(
                f"test_section: {int(test.sum())} of {len(test)} cubes are of {self.test_section!r}; the labels have the "
                f"sections {', '.join(sorted(set(sections.tolist()) - {''})) or 'none'}. Name one of several."
            )
        if both := set(self.groups[test]) & set(self.groups[~test]):
            raise EmbeddingsError(f"test_section: {len(both)} patients have cubes in it and in other sections.")
        return [(np.flatnonzero(~test), np.flatnonzero(test))]

    @cached_property
    def tested(self) -> np.ndarray:
        """The rows that are tested, sorted."""
        return np.sort(np.concatenate([test for _, test in self.splits]))

    def _folds(self, rows: np.ndarray, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
        truth, groups = self.truth[rows], self.groups[rows]
        if self.is_regression:
            fewest, splitter = len(np.unique(groups)), GroupKFold
        else:
            fewest = min(len(np.unique(groups[truth == one])) for one in np.unique(truth))
            splitter = StratifiedGroupKFold
        if fewest < 2:
            raise EmbeddingsError("labels: a class has cubes of one patient only; two patients of each are the least.")
        count = min(count, fewest)
        more = {} if self.is_regression else {"shuffle": True, "random_state": self.seed}
        return [(rows[learn], rows[test]) for learn, test in splitter(count, **more).split(rows, truth, groups)]

    def inner_folds(self, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Folds within some rows, as positions in them."""
        place = np.full(len(self.labels), -1)
        place[rows] = np.arange(len(rows))
        return [(place[learn], place[test]) for learn, test in self._folds(rows, _INNER_FOLDS)]

    def quality(self, scores: np.ndarray, rows: np.ndarray) -> float:
        """What scores are worth: the area under the ROC curve (of several classes the mean of each against the rest), or
        Spearman's rank correlation of numbers. NaN where rows lack a class.

        Args:
            scores: (n, classes), or (n,) of numbers.
            rows: those that count; one may be there several times.
        """
        truth = self.truth[rows]
        if self.is_regression:
            return float(spearmanr(truth, scores[rows]).statistic) if len(np.unique(truth)) > 1 else float("nan")
        classes = scores.shape[1]
        if len(np.unique(truth)) < classes:
            return float("nan")
        if classes == 2:
            return float(roc_auc_score(truth, scores[rows, 1]))
        return float(np.mean([roc_auc_score(truth == one, scores[rows, one]) for one in range(classes)]))

    @property
    def metric(self) -> str:
        """What ``quality`` is called."""
        return "rank correlation" if self.is_regression else "AUC"


def linear_scores(vectors: np.ndarray, task: ProbeTask) -> np.ndarray:
    """Scores by logistic regression, or ridge regression of numbers, on standardised vectors.

    How strongly they are regularised is chosen within the patients that are learnt from, by the log loss (of numbers by R²).

    Args:
        vectors: (n, D).
        task: what is to be predicted.

    Returns:
        (n, classes) probabilities, or (n,) numbers; NaN for rows that are not tested.
    """
    scores = _empty(task)
    for learn, test in task.splits:
        inner = task.inner_folds(learn)
        if task.is_regression:
            model: BaseEstimator = make_pipeline(StandardScaler(), Ridge())
            search = GridSearchCV(model, _RIDGE, cv=inner)
        else:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
            classes = np.unique(task.truth)
            loss = make_scorer(log_loss, greater_is_better=False, response_method="predict_proba", labels=classes)
            search = GridSearchCV(model, _LOGISTIC, cv=inner, scoring=loss)
        scores[test] = _predicted(search.fit(vectors[learn], task.truth[learn]), vectors[test], task)
    return scores


def knn_scores(vectors: np.ndarray, task: ProbeTask, neighbours: int = 20) -> np.ndarray:
    """Scores by the nearest neighbours among those that are learnt from: by the cosine of standardised vectors.

    Args:
        vectors: (n, D); of one number, its difference is the distance.
        task: what is to be predicted.
        neighbours: how many vote, all alike.

    Returns:
        As ``linear_scores``: the share of the votes for each class, or the neighbours' mean.
    """
    scores = _empty(task)
    for learn, test in task.splits:
        kind = KNeighborsRegressor if task.is_regression else KNeighborsClassifier
        nearest = kind(min(neighbours, len(learn)))
        steps = [StandardScaler(), nearest] if vectors.shape[1] == 1 else [StandardScaler(), Normalizer(), nearest]
        model = make_pipeline(*steps).fit(vectors[learn], task.truth[learn])
        scores[test] = _predicted(model, vectors[test], task)
    return scores


def retrieval_precision(vectors: np.ndarray, task: ProbeTask) -> np.ndarray:
    """The average precision with which each tested cube finds others of its class, the nearest first.

    It is looked for among the cubes that are learnt from, or in a cross-validation among those of all other patients; never
    among those of the same patient.

    Args:
        vectors: (n, D); nearness is as in ``knn_scores``.
        task: what is to be predicted; classes.

    Returns:
        (n,) average precisions, in (0, 1]; NaN for rows that are not tested, or have nothing to find.
    """
    scaled = StandardScaler().fit_transform(vectors)
    if scaled.shape[1] == 1:
        nearness = -np.abs(scaled - scaled.T)
    else:
        units = Normalizer().fit_transform(scaled)
        nearness = units @ units.T
    found = np.full(len(vectors), np.nan)
    every = np.arange(len(vectors))
    for learn, test in task.splits:
        gallery = every if task.test_section is None else learn
        for row in test:
            others = gallery[task.groups[gallery] != task.groups[row]]
            order = others[np.argsort(-nearness[row, others], kind="stable")]
            right = task.truth[order] == task.truth[row]
            if right.any():
                found[row] = (np.cumsum(right)[right] / (np.flatnonzero(right) + 1)).mean()
    return found


def mean_over_classes(precision: np.ndarray, task: ProbeTask, rows: Sequence[int] | np.ndarray) -> float:
    """The mean over classes of the mean of their rows' precisions, so that a frequent class counts no more than a rare one."""
    rows = np.asarray(rows)
    rows = rows[~np.isnan(precision[rows])]
    truth = task.truth[rows]
    if len(np.unique(truth)) < len(np.unique(task.truth)):
        return float("nan")
    return float(np.mean([precision[rows[truth == one]].mean() for one in np.unique(truth)]))


def _empty(task: ProbeTask) -> np.ndarray:
    count = len(task.truth)
    return np.full(count if task.is_regression else (count, len(np.unique(task.truth))), np.nan)


def _predicted(model: BaseEstimator, vectors: np.ndarray, task: ProbeTask) -> np.ndarray:
    return model.predict(vectors) if task.is_regression else model.predict_proba(vectors)
