"""The plan of a comparison: what is compared, on what, how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["TRANSFER_SETTINGS", "ComparisonPlan", "Condition", "Initialisation", "Labels", "Recipe", "Task"]

# How a file is loaded: settings that an arm may have of its own.
TRANSFER_SETTINGS = ("transfer_parts", "keep_weight_norms")


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
        shots_overrides: the same by number of shots.
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
    shots_overrides: Mapping[float, Mapping[str, Any]] = field(default_factory=dict)

    def overrides_by(self, setting: str) -> Mapping[float, Mapping[str, Any]]:
        """The settings by amount of labels, for ``label_fraction`` or ``shots``."""
        return self.shots_overrides if setting == "shots" else self.fraction_overrides


@dataclass(frozen=True)
class Recipe:
    """A way of fine-tuning that all arms are run with: an entry of ``recipes``. What it sets wins over the task's.

    Args:
        name: the recipe's name, also that of a folder; empty where a plan has no recipes.
        training: more configuration files of the training, behind those of the task.
        evaluation: those of the evaluation.
        overrides: settings for training and evaluation.
        training_overrides: settings for training alone.
        evaluation_overrides: settings for evaluation alone.
    """

    name: str = ""
    training: tuple[str, ...] = ()
    evaluation: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)
    training_overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)
    evaluation_overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Labels:
    """How many of the training patients keep their labels.

    Args:
        setting: ``label_fraction``, a share, or ``shots``, a number.
        amount: the share in (0, 1], or the number from 1.
    """

    setting: str
    amount: float

    def __str__(self) -> str:
        if self.setting == "shots":
            return "1 shot" if self.amount == 1 else f"{self.amount} shots"
        return f"{self.short} of the labels"

    @property
    def short(self) -> str:
        """The amount as tables have it."""
        return f"{self.amount}" if self.setting == "shots" else f"{100 * self.amount:.4g} %"

    @property
    def folder(self) -> str:
        """The name of the runs' folder."""
        return f"shots_{self.amount}" if self.setting == "shots" else f"fraction_{self.amount:.6g}"


@dataclass(frozen=True)
class Condition:
    """What arms share that are compared with each other.

    Args:
        labels: of the training.
        recipe: of the fine-tuning.
    """

    labels: Labels
    recipe: Recipe

    def __str__(self) -> str:
        return f"{self.labels}, {self.recipe.name}" if self.recipe.name else str(self.labels)


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
        own = {name: getattr(self, name) for name in TRANSFER_SETTINGS}
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in own.items() if value is not None
        }


@dataclass(frozen=True)
class ComparisonPlan:
    """A comparison of initialisations: every arm with every recipe and seed on every label fraction or number of shots.

    Paths in a plan are relative to ``working_dir``; in this object they are absolute or, for what the commands get,
    as written, since the commands run there.

    Args:
        output_dir: the folder of all runs and of the results.
        task: what is learnt and how it is scored.
        initialisations: the arms.
        reference: the arm that the others are tested against.
        seeds: one run of each arm for each; the same seed gives every arm the same subset, order and head.
        labels: how many of the training patients keep their labels, the fewest first.
        working_dir: the bundle's root, where the commands run.
        recipes: ways of fine-tuning, each run with all arms; a single nameless one where the plan has none.
        section: which patients are scored: ``test``, or ``validation`` to choose among recipes.
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
    labels: tuple[Labels, ...]
    working_dir: Path
    recipes: tuple[Recipe, ...] = (Recipe(),)
    section: str = "test"
    jobs: int = 1
    threads_per_job: int = 1
    confidence: float = 0.95
    settled_tolerance: float = 0.01

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All that arms are compared under."""
        return tuple(Condition(labels, recipe) for labels in self.labels for recipe in self.recipes)

    @property
    def results_dir(self) -> Path:
        """The folder of tables and plots."""
        return self.output_dir if self.section == "test" else self.output_dir / self.section

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
