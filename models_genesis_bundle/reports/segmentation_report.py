"""The report of a segmentation's evaluation."""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ignite.engine import Engine
from models_genesis_bundle.files import write_table
from models_genesis_bundle.metrics import mean_with_interval, require_label_names, segmentation_scores
from models_genesis_bundle.metrics.segmentation_scores import CLASS_METRICS
from models_genesis_bundle.reports.case_handler import CaseHandler, case_source, short_names
from models_genesis_bundle.reports.scan_results import require_all_scans
from models_genesis_bundle.visualize import (
    SegmentationSlice,
    class_numbers,
    segmentation_figure,
    segmentation_slices,
    try_to_save_figure,
)
from monai.data import MetaTensor
from monai.utils.enums import CommonKeys

logger = logging.getLogger(__name__)

RANKED_BY = "dice_mean"


@dataclass(eq=False)
class SegmentationReport(CaseHandler):
    """Scores each case of an evaluation, and writes tables and a picture at its end.

    List it among the handlers of a ``SupervisedEvaluator`` with ``decollate: true``. After the postprocessing, each case has
    ``pred`` (N, X, Y[, Z]), the classes' probabilities, ``label`` (1, X, Y[, Z]), the classes' numbers, and ``image`` (C, X, Y[,
    Z]), all in the label's geometry. Its name is ``case`` or the image's file; ``patient`` is its patient.

    It writes ``scores.csv``, a row for each case (see ``segmentation_scores``); ``summary.json`` with mean, standard deviation,
    median and bootstrap interval of each metric (see ``mean_with_interval``), over patients if they are known, and the scans that
    a `ScanEvaluator` skipped; and ``cases.png``, the best, the median and the worst case. The means are also added to the
    evaluator's metrics. Memory does not grow with the number of cases.
    """

    output_dir: str  # receives the files
    label_names: Sequence[str]  # the foreground classes' names, in order
    tolerance_mm: float = 1.0  # of the surface Dice, in mm
    confidence: float = 0.95  # level of the intervals, 0 … 1
    resamples: int = 2000  # number of bootstrap samples
    seed: int = 0  # random seed of the bootstrap
    settings: Mapping[str, Any] = field(default_factory=dict)  # plain values for the summary, such as weights and data

    def __post_init__(self) -> None:
        require_label_names(self.label_names)

    def start(self, engine: Engine) -> None:
        """Remove all cases."""
        super().start(engine)
        self.rows: list[dict[str, Any]] = []
        self.pictures = TemporaryDirectory(prefix="segmentation_report_")  # the slices of each case

    def keep(self, case: Mapping[str, Any]) -> None:
        """Score a case; errors name the case."""
        source = case_source(case)
        label, prediction, image = (case[key] for key in (CommonKeys.LABEL, CommonKeys.PRED, CommonKeys.IMAGE))
        spacing, affine = [1.0] * (label.ndim - 1), None
        if isinstance(label, MetaTensor):
            spacing, affine = label.pixdim.tolist()[: label.ndim - 1], label.affine
        try:
            scores = segmentation_scores(prediction, label, self.label_names, spacing, self.tolerance_mm)
            slices = segmentation_slices(image, label, class_numbers(prediction), affine)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
        Path(self.pictures.name, str(len(self.rows))).write_bytes(pickle.dumps(slices))
        self.rows.append({"case": source, "patient": str(case.get("patient", "")), **scores})

    def write(self, engine: Engine) -> None:
        """Write the files, and add the means to the evaluator's metrics; without cases raise a `SkippedScansError`."""
        skipped = getattr(engine, "skipped", {})
        if not self.rows:
            require_all_scans(skipped, 0, self.output_dir)
        folder, names = Path(self.output_dir), short_names([row["case"] for row in self.rows])
        rows = [
            {**row, "case": name, "patient": row["patient"] or name} for name, row in zip(names, self.rows, strict=True)
        ]
        write_table(folder / "scores.csv", rows)
        patients = [row["patient"] for row in rows]
        metrics = {
            metric: mean_with_interval(
                [row[metric] for row in rows], patients, self.confidence, self.resamples, self.seed
            )
            for metric in (rows[0] if rows else ())
            if metric not in ("case", "patient")
        }
        summary = {
            "metrics": metrics,
            "cases": len(rows),
            "patients": len(set(patients)),
            "skipped": skipped,
            "confidence": self.confidence,
            "settings": {"label_names": self.label_names, "tolerance_mm": self.tolerance_mm, **self.settings},
        }
        self._warn_of_undefined(metrics)
        self.conclude(engine, folder, summary, [metric for metric in metrics if metric.endswith("_mean")])
        self._draw(names)
        self.pictures.cleanup()

    def _warn_of_undefined(self, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """Name classes whose metric is undefined in all cases, which the mean over classes hides."""
        averaged = [metric for metric in CLASS_METRICS if metrics and metrics[f"{metric}_mean"]["n"]]
        for name in self.label_names:
            undefined = [metric for metric in averaged if not metrics[f"{metric}_{name}"]["n"]]
            if undefined:
                logger.warning(
                    "Class %r has no %s in any of the %d cases: the means over the classes are those of the others.",
                    name,
                    ", ".join(undefined),
                    len(self.rows),
                )

    def _draw(self, names: Sequence[str]) -> None:
        scores = [row[RANKED_BY] for row in self.rows]
        ranked = sorted((i for i, score in enumerate(scores) if not math.isnan(score)), key=lambda i: -scores[i])
        if not ranked:
            return
        chosen = {"best": ranked[0], "median": ranked[len(ranked) // 2], "worst": ranked[-1]}
        rows = []
        for index in dict.fromkeys(chosen.values()):
            which = ", ".join(name for name, position in chosen.items() if position == index)
            slices: list[SegmentationSlice] = pickle.loads(Path(self.pictures.name, str(index)).read_bytes())
            rows.append((f"{which}: {names[index]}, mean Dice {scores[index]:.3f}", slices))
        try_to_save_figure(segmentation_figure(rows, self.label_names), Path(self.output_dir) / "cases.png")
