"""The runs of a plan: their order, folders and commands."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models_genesis_bundle.bundle_config import RunCommand
from models_genesis_bundle.comparison.plan import ComparisonPlan, Initialisation, Labels, Recipe
from monai.bundle import ConfigParser

__all__ = ["PROGRAM", "Run", "planned_runs", "words"]

PROGRAM = (sys.executable, "-m", "monai.bundle", "run")


@dataclass(frozen=True)
class Run:
    """One fine-tuning with its evaluation.

    Args:
        plan: of the comparison that the run belongs to.
        arm: name of the initialisation.
        labels: the amount of labelled training patients.
        recipe: name of the recipe; empty where the plan has none.
        seed: of all random draws.
    """

    plan: ComparisonPlan = field(repr=False, compare=False)
    arm: str
    labels: Labels
    recipe: str
    seed: int

    def __str__(self) -> str:
        return ", ".join([self.arm, str(self.labels), *([self.recipe] if self.recipe else []), f"seed {self.seed}"])

    @property
    def initialisation(self) -> Initialisation:
        """The start of the run."""
        return self.plan.initialisations[self.arm]

    @property
    def folder(self) -> Path:
        """The folder of training and evaluation."""
        return self.plan.output_dir / "runs" / self.recipe / self.labels.folder / f"seed_{self.seed}" / self.arm

    @property
    def config_path(self) -> Path:
        """The training's resolved configuration."""
        return self.folder / "config.yaml"

    @property
    def metrics_path(self) -> Path:
        """The training's metrics by epoch."""
        return self.folder / "metrics.csv"

    @property
    def weights_path(self) -> Path:
        """The weights of the best validation."""
        return self.folder / "checkpoints" / "model.pt"

    @property
    def evaluation_dir(self) -> Path:
        """What the evaluation writes: ``test`` or ``validation``."""
        return self.folder / self.plan.section

    @property
    def summary_path(self) -> Path:
        """The evaluation's metrics."""
        return self.evaluation_dir / "summary.json"

    @property
    def log_path(self) -> Path:
        """The output of training and evaluation."""
        return self.folder / "log.txt"

    def training(self) -> RunCommand:
        """Configuration files and settings of the training.

        The recipe's overrides replace the task's. Neither changes what a baseline's own configurations define:
        ``network_def::features``, for example, is not for another network. The arm's overrides and those of the run come
        last and replace all others.
        """
        task, recipe = self.plan.task, self._recipe
        by_labels = self.plan.overrides_by_labels.get(self.labels.amount, {})
        shared = {**task.overrides, **task.training_overrides, **by_labels}
        return RunCommand(
            config_files=(*task.training, *recipe.training, *self.initialisation.configs),
            overrides={
                **self._without_own({**shared, **recipe.overrides, **recipe.training_overrides}),
                **self.initialisation.overrides,
                "initial_weights": self.initialisation.initial_weights or "none",
                **self.initialisation.transfer,
                "seed": self.seed,
                self.labels.setting: self.labels.amount,
                "output_dir": str(self.folder),
            },
        )

    def evaluation(self) -> RunCommand:
        """Configuration files and settings of the evaluation, in the same way: one seed for all, the run's best weights."""
        task, recipe = self.plan.task, self._recipe
        shared = {**task.overrides, **task.evaluation_overrides, **recipe.overrides, **recipe.evaluation_overrides}
        return RunCommand(
            config_files=(*task.evaluation, *recipe.evaluation, *self.initialisation.configs),
            overrides={
                **self._without_own(shared),
                **self.initialisation.overrides,
                "section": self.plan.section,
                "ckpt_path": str(self.weights_path),
                "output_dir": str(self.evaluation_dir),
                "seed": 0,
            },
        )

    @property
    def _recipe(self) -> Recipe:
        return self.plan.recipes.get(self.recipe, Recipe())

    def _without_own(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """The overrides without those that the initialisation's own configurations define."""
        configs = [str(self.plan.path(name)) for name in self.initialisation.configs]
        own = [name for config in configs for name in ConfigParser.load_config_file(config)]
        defined = {name.lstrip("+").split("::")[0] for name in own}
        return {name: value for name, value in overrides.items() if name.split("::")[0] not in defined}


def planned_runs(plan: ComparisonPlan) -> list[Run]:
    """All runs of a plan: few labels first, and the recipes and arms of one seed together.

    After half of the time there is then a complete comparison of fewer amounts of labels or seeds.
    """
    return [
        Run(plan, arm, labels, recipe, seed)
        for labels in plan.labels
        for seed in plan.seeds
        for recipe in plan.recipes or ("",)
        for arm in plan.initialisations
    ]


def words(run_id: str, command: RunCommand, program: Sequence[str] = PROGRAM) -> list[str]:
    """The command line of a step, ``training`` or ``evaluating``, as Fire reads it back."""
    settings = {"config_file": list(command.config_files), **command.overrides}
    pairs = [(f"--{name}", _word(value)) for name, value in settings.items()]
    return [*program, run_id, *(word for pair in pairs for word in pair)]


def _word(value: Any) -> str:
    """Texts unchanged, other values as Python writes them; MONAI drops a None."""
    return value if isinstance(value, str) else "$None" if value is None else repr(value)
