"""The commands of a run: ``monai.bundle run`` for its training and for its evaluation."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

from monai.bundle import ConfigParser

from models_genesis_bundle.comparison.plan import ComparisonPlan, Initialisation
from models_genesis_bundle.comparison.runs import Run
from models_genesis_bundle.engines import RunCommand

__all__ = ["BundleCommands", "Commands", "evaluation_command", "training_command"]


class Commands(Protocol):
    """Makes the command lines of a run; both are started in the plan's working folder."""

    def train(self, run: Run) -> list[str]:
        """The words of the training; followed by ``--resume true`` when an earlier one goes on."""

    def evaluate(self, run: Run) -> list[str]:
        """The words of the evaluation."""


class BundleCommands:
    """Makes ``python -m monai.bundle run`` command lines.

    Args:
        plan: whose configuration files and settings they have.
    """

    def __init__(self, plan: ComparisonPlan) -> None:
        self.plan = plan

    def train(self, run: Run) -> list[str]:
        """``run training`` with the run's initial weights, seed and amount of labels."""
        return _words("training", training_command(self.plan, run))

    def evaluate(self, run: Run) -> list[str]:
        """``run evaluating`` of the run's best weights."""
        return _words("evaluating", evaluation_command(self.plan, run))


def training_command(plan: ComparisonPlan, run: Run) -> RunCommand:
    """Configuration files and settings of a run's training.

    The recipe's overrides win over the task's. What a baseline's own configurations define, both leave alone:
    ``network_def::features``, say, is not for another network. The arm's own overrides and those of the run come last and
    win.
    """
    task, recipe, labels = plan.task, run.condition.recipe, run.condition.labels
    by_labels = task.overrides_by(labels.setting).get(labels.amount, {})
    shared = {
        **task.overrides,
        **task.training_overrides,
        **by_labels,
        **recipe.overrides,
        **recipe.training_overrides,
    }
    return RunCommand(
        config_files=(*task.training, *recipe.training, *run.arm.configs),
        overrides={
            **_shared(plan, run.arm, shared),
            **run.arm.overrides,
            "initial_weights": run.arm.initial_weights or "none",
            **run.arm.transfer,
            "seed": run.seed,
            labels.setting: labels.amount,
            "output_dir": str(run.folder),
        },
    )


def evaluation_command(plan: ComparisonPlan, run: Run) -> RunCommand:
    """Configuration files and settings of a run's evaluation, likewise: the same seed for all, the run's best weights."""
    task, recipe = plan.task, run.condition.recipe
    shared = {**task.overrides, **task.evaluation_overrides, **recipe.overrides, **recipe.evaluation_overrides}
    return RunCommand(
        config_files=(*task.evaluation, *recipe.evaluation, *run.arm.configs),
        overrides={
            **_shared(plan, run.arm, shared),
            **run.arm.overrides,
            "section": run.section,
            "ckpt_path": str(run.weights_path),
            "output_dir": str(run.evaluation_dir),
            "seed": 0,
        },
    )


def _shared(plan: ComparisonPlan, arm: Initialisation, overrides: Mapping[str, Any]) -> dict[str, Any]:
    own = ConfigParser.load_config_files([str(plan.path(name)) for name in arm.configs]) if arm.configs else {}
    defined = {name.split("::")[0] for name in own}
    return {name: value for name, value in overrides.items() if name.split("::")[0] not in defined}


def _words(run_id: str, command: RunCommand) -> list[str]:
    words = [sys.executable, "-m", "monai.bundle", "run", run_id, "--config_file", repr(list(command.config_files))]
    for name, value in command.overrides.items():
        words += [f"--{name}", _word(value)]
    return words


def _word(value: Any) -> str:
    """A value as Fire reads it back: texts as they are, everything else as Python writes it."""
    return value if isinstance(value, str) else repr(value)
