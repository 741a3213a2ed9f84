"""Probes of vectors: linear model, nearest neighbours, retrieval, and stability under small changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from models_genesis_bundle.data import take_fraction
from models_genesis_bundle.embeddings.labelled_vectors import EmbeddingsError
from scipy.stats import rankdata, spearmanr
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score, log_loss, make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedGroupKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

_MOST_CLASSES = 10
_INNER_FOLDS = 3


@dataclass(frozen=True)
class ProbeTask:
    """Labels to predict from vectors, and the training and test patients.

    Labels are classes, but numbers with more than ten different values are predicted as numbers. A single class, too few patients
    in a class, or a patient in both training and test are an ``EmbeddingsError``.
    """

    labels: np.ndarray  # (n,) of the cubes
    patients: np.ndarray  # (n,) of the cubes; a patient is only in training or only in test
    section: np.ndarray | None = None  # (n,) the section of each cube
    test_section: str | None = None  # section to test after training on all others; None: cross-validation by patient
    folds: int = 5  # of the cross-validation
    seed: int = 0  # of the folds and of the draw of shots
    shots: int | None = None  # number of training patients, drawn by class with take_fraction; None: all

    def __post_init__(self) -> None:
        if len(np.unique(self.labels)) < 2:
            raise EmbeddingsError(f"labels: every cube has the label {self.labels[0]}; expected two classes or more.")
        for learn, _ in self.splits:
            if not self.is_regression and len(np.unique(self.truth[learn])) < len(np.unique(self.truth)):
                raise EmbeddingsError("labels: the training cubes lack a class. Use fewer folds, or more cubes.")

    @cached_property
    def is_regression(self) -> bool:
        """Whether labels are numbers to predict."""
        return self.labels.dtype.kind in "iuf" and len(np.unique(self.labels)) > _MOST_CLASSES

    @cached_property
    def truth(self) -> np.ndarray:
        """(n,) the numbers to predict, or the classes numbered in sorted order."""
        if self.is_regression:
            return self.labels.astype(float)
        return np.unique(self.labels, return_inverse=True)[1]

    @cached_property
    def groups(self) -> np.ndarray:
        """(n,) the patients, numbered."""
        return np.unique(self.patients, return_inverse=True)[1]

    @cached_property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Training rows and test rows of each fold."""
        every = np.arange(len(self.labels))
        if self.test_section is None:
            folds = self.splitter(every, self.folds).split(every, self.truth, self.groups)
            return [(self._drawn(learn), test) for learn, test in folds]
        sections = np.full(len(self.labels), "") if self.section is None else self.section
        test = sections == self.test_section
        if not test.any() or test.all():
            raise EmbeddingsError(
                f"test_section: expected some of the cubes in {self.test_section!r}, but not all, found {int(test.sum())} of "
                f"{len(test)}. The sections are {', '.join(sorted(set(sections.tolist()) - {''})) or 'none'}."
            )
        if both := set(self.groups[test]) & set(self.groups[~test]):
            raise EmbeddingsError(
                f"test_section: {len(both)} patients have cubes both in {self.test_section!r} and in other sections."
            )
        return [(self._drawn(every[~test]), every[test])]

    def _drawn(self, learn: np.ndarray) -> np.ndarray:
        if self.shots is None:
            return learn
        items = [{"row": row, "patient": str(self.groups[row]), "label": self.truth[row]} for row in learn]
        kept = take_fraction(
            items, seed=self.seed, stratify_key=None if self.is_regression else "label", shots=self.shots
        )
        return np.array([item["row"] for item in kept])

    @cached_property
    def tested(self) -> np.ndarray:
        """The sorted test rows of all folds."""
        return np.sort(np.concatenate([test for _, test in self.splits]))

    def splitter(self, rows: np.ndarray, count: int) -> GroupKFold | StratifiedGroupKFold:
        """Cross-validation by patient among ``rows``, with ``count`` folds, or fewer if a class has fewer patients."""
        classes = np.zeros(len(rows)) if self.is_regression else self.truth[rows]
        fewest = min(len(np.unique(self.groups[rows][classes == one])) for one in np.unique(classes))
        if fewest < 2:
            raise EmbeddingsError(
                "labels: expected two or more patients for each class, found a class with one patient."
            )
        if self.is_regression:
            return GroupKFold(min(count, fewest))
        return StratifiedGroupKFold(min(count, fewest), shuffle=True, random_state=self.seed)

    def scores(self, vectors: np.ndarray, fitted: Callable[[np.ndarray], BaseEstimator]) -> np.ndarray:
        """The predictions for the test rows; ``fitted`` trains a model on rows. NaN for all other rows."""
        count = len(self.truth)
        found = np.full(count if self.is_regression else (count, len(np.unique(self.truth))), np.nan)
        for learn, test in self.splits:
            model = fitted(learn)
            found[test] = (model.predict if self.is_regression else model.predict_proba)(vectors[test])
        return found

    def quality(self, scores: np.ndarray, rows: np.ndarray) -> float:
        """The area under the ROC curve (for several classes the mean of each against the rest), or Spearman's rank correlation.

        ``scores`` are (n, classes), or (n,) for numbers. Only ``rows`` count, which may be repeated; NaN if they lack a class.
        """
        truth = self.truth[rows]
        if self.is_regression:
            return float(spearmanr(truth, scores[rows]).statistic) if len(np.unique(truth)) > 1 else float("nan")
        classes = scores.shape[1]
        if len(np.unique(truth)) < classes:
            return float("nan")
        return float(roc_auc_score(truth, scores[rows, 1] if classes == 2 else scores[rows], multi_class="ovr"))


def linear_scores(vectors: np.ndarray, task: ProbeTask) -> np.ndarray:
    """Scores by logistic regression, or ridge regression for numbers, on standardised vectors.

    The regularisation is chosen by cross-validation among the training patients, by the log loss, or R² for numbers.

    Returns:
        (n, classes) probabilities, or (n,) numbers; NaN for rows that are not tested.
    """
    if task.is_regression:
        model, grid, scoring = Ridge(), {"ridge__alpha": np.logspace(-2, 5, 8)}, None
    else:
        model, grid = LogisticRegression(max_iter=5000), {"logisticregression__C": np.logspace(-4, 2, 7)}
        classes = np.unique(task.truth)
        scoring = make_scorer(log_loss, greater_is_better=False, response_method="predict_proba", labels=classes)

    def fitted(learn: np.ndarray) -> BaseEstimator:
        search = GridSearchCV(
            make_pipeline(StandardScaler(), model), grid, cv=task.splitter(learn, _INNER_FOLDS), scoring=scoring
        )
        return search.fit(vectors[learn], task.truth[learn], groups=task.groups[learn])

    return task.scores(vectors, fitted)


def knn_scores(vectors: np.ndarray, task: ProbeTask, neighbours: int = 20) -> np.ndarray:
    """Scores by the nearest neighbours among the training cubes, by the cosine of standardised vectors.

    Single numbers are compared by their difference. The result is as in ``linear_scores``: the fraction of the votes for each
    class, or the neighbours' mean.
    """
    kind = KNeighborsRegressor if task.is_regression else KNeighborsClassifier
    scaling = [StandardScaler()] if vectors.shape[1] == 1 else [StandardScaler(), Normalizer()]

    def fitted(learn: np.ndarray) -> BaseEstimator:
        model = make_pipeline(*scaling, kind(min(neighbours, len(learn))))
        return model.fit(vectors[learn], task.truth[learn])

    return task.scores(vectors, fitted)


def retrieval_precision(vectors: np.ndarray, task: ProbeTask) -> np.ndarray:
    """The average precision of a search for cubes of the same class as each test cube, the nearest first.

    The search is among the training cubes, or in a cross-validation without `shots` among all cubes, but never among cubes of the
    same patient. Nearness is defined as in ``knn_scores``.

    Returns:
        (n,) average precisions, in (0, 1]; NaN for rows that are not tested or have nothing to find.
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
        gallery = every if task.test_section is None and task.shots is None else learn
        for row in test:
            others = gallery[task.groups[gallery] != task.groups[row]]
            right = task.truth[others] == task.truth[row]
            if right.any():
                found[row] = average_precision_score(right, nearness[row, others])
    return found


def mean_over_classes(precision: np.ndarray, task: ProbeTask, rows: Sequence[int] | np.ndarray) -> float:
    """The mean over classes of the mean precision of their rows: all classes count the same."""
    rows = np.asarray(rows)
    rows = rows[~np.isnan(precision[rows])]
    truth = task.truth[rows]
    if len(np.unique(truth)) < len(np.unique(task.truth)):
        return float("nan")
    return float(np.mean([precision[rows[truth == one]].mean() for one in np.unique(truth)]))


def stability(vectors: np.ndarray, changed: np.ndarray) -> dict[str, np.ndarray]:
    """Compare vectors (n, D) of cubes with those of the same cubes after a small change.

    Both are standardised by the mean and standard deviation of the unchanged vectors, because the raw vectors of any network,
    even a random one, have nearly the same direction: their cosines are near 1 after any change.

    Returns:
        ``cosine`` and (Spearman's) ``rank correlation`` of each pair, (n,) in -1 … 1; NaN where a vector is the mean of all.
    """
    spread = vectors.std(0)
    varying = spread > 0
    one, other = ((values[:, varying] - vectors.mean(0)[varying]) / spread[varying] for values in (vectors, changed))
    ranks = [rankdata(values, axis=1) for values in (one, other)]
    first, second = (values - values.mean(1, keepdims=True) for values in ranks)
    return {"cosine": _cosine(one, other), "rank correlation": _cosine(first, second)}


def _cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.divide((one * other).sum(1), lengths, out=np.full(len(one), np.nan), where=lengths > 0)
