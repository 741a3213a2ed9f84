"""The runs of a plan: which there are, in which order, and where each one lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models_genesis_bundle.comparison.plan import ComparisonPlan, Condition, Initialisation

__all__ = ["Run", "planned_runs"]


@dataclass(frozen=True)
class Run:
    """One fine-tuning with its evaluation.

    Args:
        arm: the initialisation.
        seed: of everything that is drawn.
        condition: labels and recipe.
        folder: where training and evaluation write.
        section: which patients the evaluation scores.
    """

    arm: Initialisation
    seed: int
    condition: Condition
    folder: Path
    section: str = "test"

    def __str__(self) -> str:
        return f"{self.arm.name}, {self.condition}, seed {self.seed}"

    @property
    def block(self) -> tuple[Condition, int]:
        """Condition and seed: what the runs that are compared with this one share."""
        return self.condition, self.seed

    @property
    def config_path(self) -> Path:
        """The training's resolved configuration."""
        return self.folder / "config.yaml"

    @property
    def metrics_path(self) -> Path:
        """The training's figures by epoch."""
        return self.folder / "metrics.csv"

    @property
    def weights_path(self) -> Path:
        """The weights of the best validation."""
        return self.folder / "checkpoints" / "model.pt"

    @property
    def evaluation_dir(self) -> Path:
        """What the evaluation writes: ``test`` or ``validation``."""
        return self.folder / self.section

    @property
    def summary_path(self) -> Path:
        """The evaluation's figures."""
        return self.evaluation_dir / "summary.json"

    @property
    def log_path(self) -> Path:
        """What training and evaluation said."""
        return self.folder / "log.txt"


def planned_runs(plan: ComparisonPlan) -> list[Run]:
    """All runs of a plan: few labels first, and the recipes and arms of one seed together.

    So what is there after half of the time is a whole comparison of fewer amounts of labels or seeds.
    """
    runs = plan.output_dir / "runs"
    return [
        Run(
            arm,
            seed,
            Condition(labels, recipe),
            runs / recipe.name / labels.folder / f"seed_{seed}" / arm.name,
            plan.section,
        )
        for labels in plan.labels
        for seed in plan.seeds
        for recipe in plan.recipes
        for arm in plan.initialisations
    ]
