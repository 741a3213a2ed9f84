"""The runs of a plan: their order, folders, commands and progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models_genesis_bundle.bundle_config import RunCommand
from models_genesis_bundle.comparison.plan import ComparisonPlan, Initialisation, Labels, Recipe
from models_genesis_bundle.files import write_json
from monai.bundle import ConfigParser
from pydantic import BaseModel, model_validator

PROGRAM = (sys.executable, "-m", "monai.bundle", "run")


@dataclass(frozen=True)
class Run:
    """One fine-tuning with its evaluation.

    Args:
        plan: plan of the comparison.
        arm: name of the initialisation.
        labels: the amount of labelled training patients.
        recipe: name of the recipe; empty if the plan has none.
        seed: random seed of the run.
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
        """The folder of the training, which contains that of the evaluation."""
        return self.plan.output_dir / "runs" / self.recipe / self.labels.folder / f"seed_{self.seed}" / self.arm

    @property
    def weights_path(self) -> Path:
        """The weights of the epoch with the best validation."""
        return self.folder / "checkpoints" / "model.pt"

    @property
    def evaluation_dir(self) -> Path:
        """The folder of the evaluation, ``test`` or ``validation``."""
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

        The recipe's overrides replace the task's; the arm's and the run's replace all others. Overrides of the task and the
        recipe are ignored for components that a baseline's configurations define, such as ``network_def``.
        """
        task, recipe = self.plan.task, self._recipe
        by_labels = self.plan.overrides_by_labels.get(self.labels.amount, {})
        shared = {
            **task.overrides,
            **task.training_overrides,
            **by_labels,
            **recipe.overrides,
            **recipe.training_overrides,
        }
        of_run = {
            "initial_weights": self.initialisation.initial_weights or "none",
            **self.initialisation.transfer,
            "seed": self.seed,
            self.labels.setting: self.labels.amount,
            "output_dir": str(self.folder),
        }
        return self._command((*task.training, *recipe.training), shared, of_run)

    def evaluation(self) -> RunCommand:
        """Configuration files and settings of the evaluation, see `training`; the seed is 0 in all runs."""
        task, recipe = self.plan.task, self._recipe
        shared = {**task.overrides, **task.evaluation_overrides, **recipe.overrides, **recipe.evaluation_overrides}
        of_run = {
            "section": self.plan.section,
            "ckpt_path": str(self.weights_path),
            "output_dir": str(self.evaluation_dir),
            "seed": 0,
        }
        return self._command((*task.evaluation, *recipe.evaluation), shared, of_run)

    @property
    def _recipe(self) -> Recipe:
        return self.plan.recipes.get(self.recipe, Recipe())

    def _command(self, files: Sequence[str], shared: Mapping[str, Any], of_run: Mapping[str, Any]) -> RunCommand:
        configs = self.initialisation.configs
        of_configs = [ConfigParser.load_config_file(str(self.plan.working_dir / name)) for name in configs]
        defined = {name.lstrip("+").split("::")[0] for config in of_configs for name in config}
        others = {name: value for name, value in shared.items() if name.split("::")[0] not in defined}
        return RunCommand((*files, *configs), {**others, **self.initialisation.overrides, **of_run})


def planned_runs(plan: ComparisonPlan) -> list[Run]:
    """All runs of a plan, by labels and seed, so that runs with the same labels and seed are finished together."""
    return [
        Run(plan, arm, labels, recipe, seed)
        for labels in plan.labels
        for seed in plan.seeds
        for recipe in plan.recipes or ("",)
        for arm in plan.initialisations
    ]


def words(run_id: str, command: RunCommand, program: Sequence[str] = PROGRAM) -> list[str]:
    """The words of the command line of a step, ``training`` or ``evaluating``."""
    line = [*program, run_id]
    for name, value in {"config_file": list(command.config_files), **command.overrides}.items():
        text = value if isinstance(value, str) else "$None" if value is None else repr(value)  # MONAI ignores None
        line += [f"--{name}", text]
    return line


class RunRecord(BaseModel):
    """The progress and the settings of a run: ``run.json`` in its folder."""

    training: tuple[str, ...]  # the words of the training's command, see `portable`
    initial_weights: str | None  # SHA-256 of the weight file; None from scratch
    begun: float | None = None  # start of the unfinished training, in seconds since 1970
    seconds: float = 0.0  # duration of the training; if it was killed, until the last line of its log
    trained: bool = False  # whether the training has succeeded
    evaluated: dict[str, tuple[str, ...]] = {}  # the words of the successful evaluations, by section
    failure: dict[str, Any] = {}  # step, exit_code and last lines of the log of a failed step

    @model_validator(mode="before")
    @classmethod
    def _of_one_evaluation(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Read the format of earlier versions, which recorded one evaluation."""
        words = content.get("evaluation")
        if words is None:
            return content
        section = words[words.index("--section") + 1] if "--section" in words else "test"
        return {**content, "evaluated": {section: words} if content["evaluated"] else {}}

    @classmethod
    def read(cls, run: Run) -> RunRecord | None:
        """The record in a run's folder; None if the run was never started."""
        try:
            return cls.model_validate_json((run.folder / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def write(self, run: Run) -> None:
        """Replace the record in the run's folder atomically."""
        write_json(run.folder / "run.json", self.model_dump(mode="json"))

    def is_finished(self, run: Run) -> bool:
        """Whether the run was trained and evaluated on the plan's section, and the evaluation's files exist."""
        return run.plan.section in self.evaluated and run.summary_path.is_file()

    def start_training(self, run: Run) -> None:
        """Record that a training starts or continues now."""
        if self.begun is not None and run.log_path.exists():
            self.seconds += max(0.0, run.log_path.stat().st_mtime - self.begun)
        self.begun, self.failure = time.time(), {}

    def end_training(self) -> None:
        """Record that the training succeeds now."""
        assert self.begun is not None
        self.seconds += time.time() - self.begun
        self.trained, self.begun = True, None

    def missing_text(self, run: Run) -> str:
        """A text about an unfinished run, with the exit code and the last lines of a failed step."""
        if not self.failure:
            return f"{run}: begun, not finished"
        step, code, log = (self.failure[name] for name in ("step", "exit_code", "log"))
        wrong = f"ended with exit code {code}" if code else "left no summary.json"
        return f"{run}: the {step} {wrong}; {run.log_path} ends with\n  " + "\n  ".join(log)


def portable(words: Sequence[str], run: Run) -> tuple[str, ...]:
    """A command's words with names for Python's path and the run's folder, so that both may be moved."""
    names = {sys.executable: "python"}
    return tuple(names.get(word, word.replace(str(run.folder), "{folder}")) for word in words)
