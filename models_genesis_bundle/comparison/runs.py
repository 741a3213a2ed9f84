"""The runs of a plan: which there are, in which order, and where each one lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models_genesis_bundle.comparison.plan import ComparisonPlan, Initialisation

__all__ = ["Run", "planned_runs"]


@dataclass(frozen=True)
class Run:
    """One fine-tuning with its evaluation.

    Args:
        arm: the initialisation.
        seed: of everything that is drawn.
        fraction: share of the training patients that keep their labels.
        folder: where training and evaluation write.
    """

    arm: Initialisation
    seed: int
    fraction: float
    folder: Path

    def __str__(self) -> str:
        return f"{self.arm.name}, {100 * self.fraction:.4g} % of the labels, seed {self.seed}"

    @property
    def block(self) -> tuple[float, int]:
        """Fraction and seed: what the runs that are compared with this one share."""
        return self.fraction, self.seed

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
    def test_dir(self) -> Path:
        """What the evaluation writes."""
        return self.folder / "test"

    @property
    def summary_path(self) -> Path:
        """The evaluation's figures."""
        return self.test_dir / "summary.json"

    @property
    def log_path(self) -> Path:
        """What training and evaluation said."""
        return self.folder / "log.txt"


def planned_runs(plan: ComparisonPlan) -> list[Run]:
    """All runs of a plan: small fractions first, and the arms of one fraction and seed together.

    So what is there after half of the time is a whole comparison of fewer fractions or seeds.
    """
    return [
        Run(arm, seed, fraction, plan.output_dir / "runs" / f"fraction_{fraction:.6g}" / f"seed_{seed}" / arm.name)
        for fraction in plan.label_fractions
        for seed in plan.seeds
        for arm in plan.initialisations
    ]
