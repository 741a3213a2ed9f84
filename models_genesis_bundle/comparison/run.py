"""The runs of a plan: their order, folders and commands, and their state between two starts of a comparison."""

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
        recipe: name of the recipe; empty where the plan has none.
        seed: random seed of all draws.
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
        """The folder of training (``config.yaml``, ``metrics.csv``) and evaluation."""
        return self.plan.output_dir / "runs" / self.recipe / self.labels.folder / f"seed_{self.seed}" / self.arm

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
        own = {
            "initial_weights": self.initialisation.initial_weights or "none",
            **self.initialisation.transfer,
            "seed": self.seed,
            self.labels.setting: self.labels.amount,
            "output_dir": str(self.folder),
        }
        return self._command(
            (*task.training, *recipe.training), {**shared, **recipe.overrides, **recipe.training_overrides}, own
        )

    def evaluation(self) -> RunCommand:
        """Configuration files and settings of the evaluation, in the same way: one seed for all, the run's best weights."""
        task, recipe = self.plan.task, self._recipe
        shared = {**task.overrides, **task.evaluation_overrides, **recipe.overrides, **recipe.evaluation_overrides}
        own = {
            "section": self.plan.section,
            "ckpt_path": str(self.weights_path),
            "output_dir": str(self.evaluation_dir),
            "seed": 0,
        }
        return self._command((*task.evaluation, *recipe.evaluation), shared, own)

    @property
    def _recipe(self) -> Recipe:
        return self.plan.recipes.get(self.recipe, Recipe())

    def _command(self, files: Sequence[str], shared: Mapping[str, Any], own: Mapping[str, Any]) -> RunCommand:
        configs = self.initialisation.configs
        of_configs = [ConfigParser.load_config_file(str(self.plan.working_dir / name)) for name in configs]
        defined = {name.lstrip("+").split("::")[0] for config in of_configs for name in config}
        others = {name: value for name, value in shared.items() if name.split("::")[0] not in defined}
        return RunCommand((*files, *configs), {**others, **self.initialisation.overrides, **own})


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
    found = [*program, run_id]
    for name, value in {"config_file": list(command.config_files), **command.overrides}.items():
        text = value if isinstance(value, str) else "$None" if value is None else repr(value)  # MONAI drops a None
        found += [f"--{name}", text]
    return found


class RunRecord(BaseModel):
    """The progress of a run, and the settings that it was started with: ``run.json`` in its folder."""

    training: tuple[str, ...]  # the words of the training's command, see `portable`
    initial_weights: str | None  # SHA-256 of the weight file, None from scratch
    begun: float | None = None  # when the training under way was started, in seconds since 1970
    seconds: float = 0.0  # duration of the training; a killed one counts up to the last line of its log
    trained: bool = False  # whether the training has ended well
    evaluated: dict[str, tuple[str, ...]] = {}  # the words of the evaluations that have ended well, by section
    failure: dict[str, Any] = {}  # step, exit_code and log (its last lines) of a step that has failed, otherwise empty

    @model_validator(mode="before")
    @classmethod
    def _of_one_evaluation(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Read the form of earlier versions: ``evaluation``, the words of the only one, and whether it had ended."""
        words = content.get("evaluation")
        if words is None:
            return content
        section = words[words.index("--section") + 1] if "--section" in words else "test"
        return {**content, "evaluated": {section: words} if content["evaluated"] else {}}

    @classmethod
    def read(cls, run: Run) -> RunRecord | None:
        """The record in a run's folder; None when the run was never started."""
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
        """Note a training that starts now, or continues after an interruption."""
        if self.begun is not None and run.log_path.exists():
            self.seconds += max(0.0, run.log_path.stat().st_mtime - self.begun)
        self.begun, self.failure = time.time(), {}

    def end_training(self) -> None:
        """Note that the training ends well now."""
        assert self.begun is not None, "a training that ends was started"
        self.seconds += time.time() - self.begun
        self.trained, self.begun = True, None

    def missing_text(self, run: Run) -> str:
        """A text about an unfinished run: if a step failed, its exit code and last lines."""
        if not self.failure:
            return f"{run}: begun, not finished"
        step, code, log = (self.failure[name] for name in ("step", "exit_code", "log"))
        wrong = f"ended with exit code {code}" if code else "left no summary.json"
        return f"{run}: the {step} {wrong}; {run.log_path} ends with\n  " + "\n  ".join(log)


def portable(words: Sequence[str], run: Run) -> tuple[str, ...]:
    """A command's words with Python's path and the run's folder replaced by names, so that both may be moved."""
    names = {sys.executable: "python"}
    return tuple(names.get(word, word.replace(str(run.folder), "{folder}")) for word in words)
