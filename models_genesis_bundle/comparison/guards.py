"""What must hold before a comparison starts: its files are there, its settings exist, no two arms are the same."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from models_genesis_bundle.comparison.commands import evaluation_command, training_command
from models_genesis_bundle.comparison.nearest_name import nearest_name
from models_genesis_bundle.comparison.plan import ComparisonPlan, Initialisation
from models_genesis_bundle.comparison.runs import Run, planned_runs
from models_genesis_bundle.engines import RunCommand, UnknownOverrideError, refuse_unknown_overrides

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
    for run in planned_runs(plan):
        if run.seed == plan.seeds[0]:
            _check_files(plan, run)
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


def _check_files(plan: ComparisonPlan, run: Run) -> None:
    recipe = run.condition.recipe
    own = (*recipe.training, *recipe.evaluation, *run.arm.configs)
    for name in (*plan.task.training, *plan.task.evaluation, *own):
        path = plan.path(name)
        if not path.is_file():
            near = nearest_name(name, [str(Path(name).with_name(found.name)) for found in path.parent.glob("*.yaml")])
            raise ComparisonError(f"{run.arm.name}: there is no configuration {path}; {near}")


def _check_settings(plan: ComparisonPlan, run: Run) -> None:
    training, evaluation = training_command(plan, run), evaluation_command(plan, run)
    resumed = replace(training, overrides={**training.overrides, "resume": True})
    for step, command in (("training", resumed), ("evaluation", evaluation)):
        files = tuple(str(plan.path(name)) for name in command.config_files)
        try:
            refuse_unknown_overrides(RunCommand(files, command.overrides))
        except UnknownOverrideError as error:
            raise ComparisonError(
                f"{step} of {run.arm.name}{_of_recipe(run)}: {error} (`overrides` must exist in the configurations of both "
                "training and evaluation; `training_overrides` and `evaluation_overrides` are for one of them.)"
            ) from None


def _of_recipe(run: Run) -> str:
    name = run.condition.recipe.name
    return f" by the recipe {name}" if name else ""


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
