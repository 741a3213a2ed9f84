"""The predictions of a classification on new cases."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine
from models_genesis_bundle.files import write_table
from models_genesis_bundle.metrics import predicted_classes
from models_genesis_bundle.reports.case_handler import CaseHandler, case_source, evaluated_cases, short_names
from monai.utils import convert_to_numpy
from monai.utils.enums import CommonKeys

__all__ = ["PredictionsTable", "write_predictions"]

logger = logging.getLogger(__name__)


class PredictionsTable(CaseHandler):
    """Writes the class probabilities and the predicted class of every case as a CSV file.

    List it among the handlers of a ``SupervisedEvaluator`` with ``decollate: true``. Each case, after the
    postprocessing, holds ``pred`` (classes,), its probabilities; its name is ``case`` or the image's file. A
    candidate's ``scan`` and ``point`` become the columns ``seriesuid,coordX,coordY,coordZ``, as in LUNA16.

    Args:
        path: the CSV file, written at the end, atomically.
        class_names: of all classes, in order.
        positive_class: with two classes, the number of the class to detect.
        threshold: with two classes, the probability from which a case is called positive.
    """

    def __init__(self, path: str, class_names: Sequence[str], positive_class: int = 1, threshold: float = 0.5) -> None:
        self.path = Path(path)
        self.class_names = list(class_names)
        self.positive_class = positive_class
        self.threshold = threshold

    def start(self, engine: Engine) -> None:
        """Remove all cases."""
        super().start(engine)
        self.rows: list[dict[str, Any]] = []
        self.probabilities: list[np.ndarray] = []

    def collect(self, engine: Engine) -> None:
        """Keep the probabilities of a batch's cases."""
        for case in evaluated_cases(engine):
            row: dict[str, Any] = {"case": case_source(case)}
            if "point" in case:
                x, y, z = convert_to_numpy(case["point"]).tolist()
                row |= {"seriesuid": case["scan"], "coordX": x, "coordY": y, "coordZ": z}
            self.rows.append(row)
            self.probabilities.append(np.ravel(convert_to_numpy(case[CommonKeys.PRED])).astype(float))

    def write(self, engine: Engine) -> None:
        """Write the file."""
        probabilities = np.array(self.probabilities).reshape(-1, len(self.class_names))
        predicted = predicted_classes(probabilities, self.positive_class, self.threshold)
        write_predictions(self.path, self.rows, predicted, probabilities, self.class_names)
        logger.info("%d predictions: %s", len(self.rows), self.path)


def write_predictions(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    predicted: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
) -> None:
    """Write predictions as a CSV file; ``rows`` are its first columns, in which the ``case`` becomes a short name."""
    names = short_names([row["case"] for row in rows])
    columns = [f"probability_{name}" for name in class_names]
    cases = zip(rows, names, predicted.tolist(), probabilities.tolist(), strict=True)
    write_table(
        path,
        [
            {**row, "case": name, "prediction": class_names[number], **dict(zip(columns, values, strict=True))}
            for row, name, number, values in cases
        ],
    )
