"""The commands of a run: ``monai.bundle run`` for its training and for its evaluation."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

from monai.bundle import ConfigParser

from models_genesis_bundle.bundle_config import RunCommand
from models_genesis_bundle.comparison.plan import ComparisonPlan, Initialisation, Task
from models_genesis_bundle.comparison.runs import Run

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
        """``run training`` with the run's initial weights, seed and label fraction."""
        return _words("training", training_command(self.plan, run))

    def evaluate(self, run: Run) -> list[str]:
        """``run evaluating`` of the run's best weights."""
        return _words("evaluating", evaluation_command(self.plan, run))


def training_command(plan: ComparisonPlan, run: Run) -> RunCommand:
    """Configuration files and settings of a run's training.

    What a baseline's own configurations define, the task's overrides leave alone: ``network_def::features``, say, is not for
    another network. The arm's own overrides and those of the run come last and win.
    """
    return RunCommand(
        config_files=(*plan.task.training, *run.arm.configs),
        overrides={
            **_shared(plan, run.arm, _training_overrides(plan.task, run.fraction)),
            **run.arm.overrides,
            "initial_weights": run.arm.initial_weights or "none",
            **run.arm.transfer,
            "seed": run.seed,
            "label_fraction": run.fraction,
            "output_dir": str(run.folder),
        },
    )


def evaluation_command(plan: ComparisonPlan, run: Run) -> RunCommand:
    """Configuration files and settings of a run's evaluation, likewise: the same seed for all, the run's best weights."""
    return RunCommand(
        config_files=(*plan.task.evaluation, *run.arm.configs),
        overrides={
            **_shared(plan, run.arm, {**plan.task.overrides, **plan.task.evaluation_overrides}),
            **run.arm.overrides,
            "ckpt_path": str(run.weights_path),
            "output_dir": str(run.test_dir),
            "seed": 0,
        },
    )


def _training_overrides(task: Task, fraction: float) -> dict[str, Any]:
    return {**task.overrides, **task.training_overrides, **task.fraction_overrides.get(fraction, {})}


def _shared(plan: ComparisonPlan, arm: Initialisation, overrides: Mapping[str, Any]) -> dict[str, Any]:
    own = [name for config in arm.configs for name in ConfigParser.load_config_file(str(plan.path(config)))]
    defined = {name.lstrip("+").split("::")[0] for name in own}
    return {name: value for name, value in overrides.items() if name.split("::")[0] not in defined}


def _words(run_id: str, command: RunCommand) -> list[str]:
    words = [sys.executable, "-m", "monai.bundle", "run", run_id, "--config_file", repr(list(command.config_files))]
    for name, value in command.overrides.items():
        words += [f"--{name}", _word(value)]
    return words


def _word(value: Any) -> str:
    """A value as Fire reads it back: texts as they are, everything else as Python writes it; MONAI drops a None."""
    return value if isinstance(value, str) else "$None" if value is None else repr(value)
