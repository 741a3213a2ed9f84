"""The report of a classification's evaluation, and the table of predictions for new cases."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine
from models_genesis_bundle.files import write_table
from models_genesis_bundle.metrics import Froc, classification_scores, covariate_scores, predicted_classes
from models_genesis_bundle.reports.case_handler import CaseHandler, case_source, short_names
from models_genesis_bundle.visualize import try_to_save_figure
from models_genesis_bundle.visualize.classification_figure import classification_figure
from monai.utils import convert_to_numpy
from monai.utils.enums import CommonKeys
from sklearn.metrics import confusion_matrix

logger = logging.getLogger(__name__)

ROUNDING = 1e-3


class PredictionsTable(CaseHandler):
    """Writes the class probabilities and the predicted class of every case to a CSV file.

    List it among the handlers of a ``SupervisedEvaluator`` with ``decollate: true``. After the postprocessing, each case has its
    probabilities as ``pred`` (classes,). Its name is ``case`` or the image's file. ``scan`` and ``point`` of a candidate become
    the columns ``seriesuid,coordX,coordY,coordZ``, as in LUNA16.

    Args:
        path: the CSV file, written at the end, atomically.
        class_names: names of all classes, in the order of their numbers.
        positive_class: with two classes, the number of the class to detect.
        threshold: with two classes, the probability from which a case is called positive.
    """

    def __init__(self, path: str, class_names: Sequence[str], positive_class: int = 1, threshold: float = 0.5) -> None:
        self.path = Path(path)
        self.class_names: Sequence[str] = list(class_names)
        self.positive_class = positive_class
        self.threshold = threshold

    def start(self, engine: Engine) -> None:
        """Remove all cases."""
        super().start(engine)
        self.rows: list[dict[str, Any]] = []
        self.predictions: list[np.ndarray] = []

    def keep(self, case: Mapping[str, Any]) -> None:
        """Keep name, columns and probabilities of a case; errors name the case."""
        source = case_source(case)
        values = np.ravel(convert_to_numpy(case[CommonKeys.PRED])).astype(float)
        of_each = values.size == len(self.class_names) and (values > -ROUNDING).all()
        if not of_each or not abs(values.sum() - 1) < ROUNDING * values.size:
            raise ValueError(
                f"{source}: expected a probability for each of {', '.join(self.class_names)}, with the sum 1, found "
                f"{values[:8].tolist()}. Put a softmax into the postprocessing."
            )
        self.rows.append({"case": source, **self.columns(source, case)})
        self.predictions.append(values)

    def columns(self, source: str, case: Mapping[str, Any]) -> dict[str, Any]:
        """The columns of a case between its name and its prediction."""
        if "point" not in case:
            return {}
        x, y, z = convert_to_numpy(case["point"]).tolist()
        return {"seriesuid": case["scan"], "coordX": x, "coordY": y, "coordZ": z}

    def write(self, engine: Engine) -> None:
        """Write the file."""
        self.probabilities = np.array(self.predictions).reshape(-1, len(self.class_names))
        names = short_names([row["case"] for row in self.rows])
        predicted = predicted_classes(self.probabilities, self.positive_class, self.threshold)
        columns = [f"probability_{name}" for name in self.class_names]
        cases = zip(self.rows, names, predicted.tolist(), self.probabilities.tolist(), strict=True)
        write_table(
            self.path,
            [
                {**row, "case": name, "prediction": self.class_names[number], **dict(zip(columns, values, strict=True))}
                for row, name, number, values in cases
            ],
        )
        logger.info("%d predictions: %s", len(self.rows), self.path)


@dataclass(eq=False)
class ClassificationReport(PredictionsTable):
    """Collects the probabilities of an evaluation, and writes a table, a summary and a picture at its end.

    Each case has the entries for a `PredictionsTable`, and ``label``, its class number. With ``patient``, intervals are over
    patients. A candidate has ``scan``, the scan that it belongs to, and may have ``lesion``, the name of its lesion within the
    scan; without ``patient``, the cases of a scan count as those of one patient.

    It writes ``predictions.csv``, a row for each case; ``summary.json`` with the confusion matrix and each metric of
    ``classification_scores``, of ``Froc`` if cases have a scan, and of ``covariate_scores`` if a covariate is named (two classes
    only), with interval and number of cases; and ``classification.png``: ROC, calibration, confusion and, with scans, FROC. The
    values are also added to the evaluator's metrics.

    Raises:
        ValueError: for fewer than two classes, or an unknown positive class.
    """

    output_dir: str  # receives the files
    class_names: Sequence[str]  # of all classes, in the order of their numbers
    positive_class: int = 1  # with two classes, the number of the class to detect
    # With two classes, the smallest probability of a positive case, such as youden_threshold in a validation's summary.
    threshold: float = 0.5
    confidence: float = 0.95  # level of the intervals, 0 … 1
    covariate_key: str | None = None  # entry with a number that may explain the label, such as diameter_mm, or NaN
    caliper: float | None = None  # largest difference of the covariate in a pair; None: 0.2 standard deviations
    number_of_scans: int | None = None  # all scans, also without candidates; None: those with candidates
    number_of_lesions: int | None = None  # all lesions, also without candidates; None: those with candidates
    skipped: Mapping[str, str] = field(default_factory=dict)  # scans that could not be used, with the reasons
    resamples: int = 1000  # number of bootstrap samples
    seed: int = 0  # random seed of bootstrap and matching
    settings: Mapping[str, Any] = field(default_factory=dict)  # plain values for the summary, such as weights and data

    def __post_init__(self) -> None:
        different = len(set(self.class_names))
        if different < max(len(self.class_names), 2) or not 0 <= self.positive_class < different:
            raise ValueError(
                "ClassificationReport: expected two or more different class names and the number of one of them as "
                f"positive class, found {list(self.class_names)} and {self.positive_class}."
            )
        self.path = Path(self.output_dir, "predictions.csv")

    def columns(self, source: str, case: Mapping[str, Any]) -> dict[str, Any]:
        """Patient, scan, lesion, covariate and the name of the label, for the metrics."""
        columns: dict[str, Any] = {key: str(case[key]) for key in ("patient", "scan", "lesion") if key in case}
        if self.covariate_key is not None:
            columns[self.covariate_key] = self._covariate(source, case, self.covariate_key)
        label = np.ravel(convert_to_numpy(case[CommonKeys.LABEL]))
        if label.size != 1 or label[0] not in range(len(self.class_names)):
            raise ValueError(
                f"{source}: expected the number of a class, 0 … {len(self.class_names) - 1}, as label, "
                f"found {label[:8].tolist()}."
            )
        return {**columns, "label": self.class_names[int(label[0])]}

    def write(self, engine: Engine) -> None:
        """Write the files, and put the values into the evaluator's metrics."""
        scans, patients = self._column("scan"), self._column("patient")
        super().write(engine)
        numbers = {name: number for number, name in enumerate(self.class_names)}
        labels = np.array([numbers[row["label"]] for row in self.rows], dtype=int)
        probabilities, binary = self.probabilities, len(self.class_names) == 2
        owners = patients or scans or short_names([row["case"] for row in self.rows])
        outcomes, scores = labels == self.positive_class, probabilities[:, self.positive_class]
        bootstrap = (owners, self.confidence, self.resamples, self.seed)
        metrics = classification_scores(
            labels, probabilities, self.class_names, self.positive_class, self.threshold, *bootstrap
        )
        of_covariate: dict[str, dict[str, float]] = {}
        if self.covariate_key is not None and binary:
            covariate = [row[self.covariate_key] for row in self.rows]
            how = (self.covariate_key, owners, self.confidence, self.caliper, self.seed)
            of_covariate = covariate_scores(outcomes, scores, covariate, *how)
            metrics |= of_covariate
        froc = None
        if scans is not None and binary:
            lesions = [row.get("lesion", "") for row in self.rows]
            froc = Froc(outcomes, scores, scans, lesions, self.number_of_scans, self.number_of_lesions)
            metrics |= froc.summary(self.confidence, self.resamples, self.seed)
        predicted = predicted_classes(probabilities, self.positive_class, self.threshold)
        settings: dict[str, Any] = {"class_names": self.class_names}
        if binary:
            settings |= {"positive_class": self.class_names[self.positive_class], "threshold": self.threshold}
        if self.covariate_key is not None:
            settings |= {"covariate_key": self.covariate_key, "caliper": self.caliper}
        settings |= self.settings
        summary = {
            "metrics": metrics,
            "cases": len(self.rows),
            "patients": len(set(owners)),
            "skipped": self.skipped,
            **({"scans": froc.number_of_scans, "lesions": froc.number_of_lesions} if froc is not None else {}),
            "cases_by_class": {name: int((labels == number).sum()) for number, name in enumerate(self.class_names)},
            "confusion_matrix": {
                "rows": "label",
                "columns": "predicted",
                "classes": self.class_names,
                "counts": confusion_matrix(labels, predicted, labels=range(len(self.class_names))).tolist(),
            },
            "confidence": self.confidence,
            "settings": settings,
        }
        shown = [name for name in ("auc", "auc_macro", "accuracy", "cpm", *of_covariate) if name in metrics]
        self.conclude(engine, Path(self.output_dir), summary, shown)
        figure = classification_figure(
            labels, probabilities, self.class_names, self.positive_class, self.threshold, froc
        )
        try_to_save_figure(figure, Path(self.output_dir, "classification.png"))

    def _covariate(self, source: str, case: Mapping[str, Any], key: str) -> float:
        if key not in case:
            raise KeyError(f"{source}: expected the covariate {key!r}, found the entries {sorted(map(str, case))}.")
        try:
            return float(case[key])
        except (TypeError, ValueError):
            raise ValueError(f"{source}: expected a number (NaN if unknown) as {key!r}, found {case[key]!r}.") from None

    def _column(self, key: str) -> list[str] | None:
        values = [row[key] for row in self.rows if key in row]
        if values and len(values) < len(self.rows):
            raise ValueError(
                f"ClassificationReport: expected the entry {key!r} in all cases or in none, found it in {len(values)} of "
                f"{len(self.rows)}."
            )
        return values or None
