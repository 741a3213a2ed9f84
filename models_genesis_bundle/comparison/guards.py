"""What must hold before a comparison starts: its files are there, its settings exist, no two arms are the same."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from models_genesis_bundle.bundle_config import RunCommand, SettingsError, check_settings
from models_genesis_bundle.comparison.commands import evaluation_command, training_command
from models_genesis_bundle.comparison.nearest_name import nearest_name
from models_genesis_bundle.comparison.plan import ComparisonPlan, Initialisation
from models_genesis_bundle.comparison.runs import Run, planned_runs

__all__ = ["ComparisonError", "check_plan"]


class ComparisonError(RuntimeError):
    """A comparison that would not be one; the message names the arm, file or setting and says what to do."""


def check_plan(plan: ComparisonPlan) -> dict[str, str | None]:
    """Refuse a plan whose comparison could not be carried out or would not be fair.

    Returns:
        SHA-256 of the initial weights by arm, None for scratch.

    Raises:
        ComparisonError: a configuration or weight file that is not there, a setting that the configurations do not have,
            or two arms that load the same.
    """
    for arm in plan.initialisations:
        _check_files(plan, arm)
    for run in planned_runs(plan):
        if run.seed == plan.seeds[0]:
            _check_settings(plan, run)
    hashes = {arm.name: _weights_hash(plan, arm) for arm in plan.initialisations}
    seen: dict[tuple[str | None, str], str] = {}
    for arm in plan.compared:
        same = seen.setdefault((hashes[arm.name], str(arm.transfer)), arm.name)
        if same != arm.name:
            what = (
                "start from scratch" if arm.initial_weights is None else "load the same of weight files of one content"
            )
            raise ComparisonError(f"initialisations: {same} and {arm.name} {what}: leave one of them out.")
    return hashes


def _check_files(plan: ComparisonPlan, arm: Initialisation) -> None:
    for name in (*plan.task.training, *plan.task.evaluation, *arm.configs):
        path = plan.path(name)
        if not path.is_file():
            near = nearest_name(name, [str(Path(name).with_name(found.name)) for found in path.parent.glob("*.yaml")])
            raise ComparisonError(f"{arm.name}: there is no configuration {path}; {near}")


def _check_settings(plan: ComparisonPlan, run: Run) -> None:
    training, evaluation = training_command(plan, run), evaluation_command(plan, run)
    resumed = replace(training, overrides={**training.overrides, "resume": True})
    for step, command in (("training", resumed), ("evaluation", evaluation)):
        files = tuple(str(plan.path(name)) for name in command.config_files)
        try:
            check_settings(RunCommand(files, command.overrides))
        except SettingsError as error:
            raise ComparisonError(
                f"{step} of {run.arm.name}: {error} (`overrides` must exist in both the training's and the evaluation's "
                "configurations; `training_overrides` and `evaluation_overrides` are for one of them.)"
            ) from None


def _weights_hash(plan: ComparisonPlan, arm: Initialisation) -> str | None:
    if arm.initial_weights is None:
        return None
    path = plan.path(arm.initial_weights)
    if not path.is_file():
        raise ComparisonError(
            f"initialisations.{arm.name}: there is no weight file {path}. Paths are relative to working_dir, "
            f"{plan.working_dir}; `none` starts from scratch."
        )
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
