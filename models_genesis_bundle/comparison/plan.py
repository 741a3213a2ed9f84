"""The plan of a comparison: what is compared, on what, how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["TRANSFER_SETTINGS", "ComparisonPlan", "Initialisation", "Task"]

# How a file is loaded: keys that an arm may have of its own, and the settings that they are.
TRANSFER_SETTINGS = {
    "transfer_parts": "starting_point::parts",
    "keep_weight_norms": "starting_point::keep_weight_norms",
}


@dataclass(frozen=True)
class Task:
    """What every run is fine-tuned and scored on: the section ``task``, or the file that it names.

    Args:
        name: stands in the tables' titles.
        training: configuration files of the fine-tuning, in the order in which they are merged.
        evaluation: those of the evaluation.
        metric: the score of a run: a name among the ``metrics`` of the evaluation's ``summary.json``.
        validation_metric: the column of the training's ``metrics.csv`` that learning curves and convergence are read from.
        higher_is_better: whether more of both metrics is better.
        further_metrics: more names of ``summary.json``, tabled as mean and standard deviation, without tests.
        overrides: settings for training and evaluation, as one would give them on the command line.
        training_overrides: settings for training alone.
        evaluation_overrides: settings for evaluation alone.
        fraction_overrides: settings for the trainings of one label fraction, by fraction: more epochs where an epoch of few
            labels is short, say. All arms have them. None, or some for every label fraction of the plan.
    """

    name: str
    training: tuple[str, ...]
    evaluation: tuple[str, ...]
    metric: str
    validation_metric: str
    higher_is_better: bool = True
    further_metrics: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    training_overrides: Mapping[str, Any] = field(default_factory=dict)
    evaluation_overrides: Mapping[str, Any] = field(default_factory=dict)
    fraction_overrides: Mapping[float, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Initialisation:
    """Where the runs of one arm start from: an entry of ``initialisations``.

    Args:
        name: the arm's name, also that of its folders.
        initial_weights: a weight file, or None for a start from scratch.
        transfer_parts: what to load of the file; None leaves it to the configurations.
        keep_weight_norms: whether what is loaded is scaled to the size of new weights; None leaves it to the configurations.
        baseline: whether the arm is another network, shown beside the others and outside of every test.
        configs: more configuration files for training and evaluation; for baselines only.
        overrides: more settings for training and evaluation; for baselines only.
    """

    name: str
    initial_weights: str | None
    transfer_parts: tuple[str, ...] | None = None
    keep_weight_norms: bool | None = None
    baseline: bool = False
    configs: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def transfer(self) -> dict[str, Any]:
        """The settings of its own that say how the file is loaded, as configurations have them."""
        own = {setting: getattr(self, key) for key, setting in TRANSFER_SETTINGS.items()}
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in own.items() if value is not None
        }


@dataclass(frozen=True)
class ComparisonPlan:
    """A comparison of initialisations: every arm with every seed on every label fraction.

    Paths in a plan are relative to ``working_dir``; in this object they are absolute or, for what the commands get,
    as written, since the commands run there.

    Args:
        output_dir: the folder of all runs and of the results.
        task: what is learnt and how it is scored.
        initialisations: the arms.
        reference: the arm that the others are tested against.
        seeds: one run of each arm for each; the same seed gives every arm the same subset, order and head.
        label_fractions: shares of the training patients that keep their labels, in (0, 1], smallest first.
        working_dir: the bundle's root, where the commands run.
        jobs: runs at a time.
        threads_per_job: processor threads of a run (``OMP_NUM_THREADS``).
        confidence: of the intervals, in (0, 1); tests are called significant at 1 minus this.
        settled_tolerance: a run counts as settled when the last quarter of its epochs improved the best validation by at
            most this share of it.
    """

    output_dir: Path
    task: Task
    initialisations: tuple[Initialisation, ...]
    reference: str
    seeds: tuple[int, ...]
    label_fractions: tuple[float, ...]
    working_dir: Path
    jobs: int = 1
    threads_per_job: int = 1
    confidence: float = 0.95
    settled_tolerance: float = 0.01

    @property
    def compared(self) -> tuple[Initialisation, ...]:
        """The arms that differ in nothing but the initialisation."""
        return tuple(arm for arm in self.initialisations if not arm.baseline)

    @property
    def tested(self) -> tuple[Initialisation, ...]:
        """The arms that are tested against the reference."""
        return tuple(arm for arm in self.compared if arm.name != self.reference)

    def path(self, name: str) -> Path:
        """The absolute path of a file that the plan names."""
        return self.working_dir / name
