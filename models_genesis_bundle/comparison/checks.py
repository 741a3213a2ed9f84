"""Checks before a comparison starts: its files and settings exist, no two arms are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models_genesis_bundle.bundle_config import RunCommand, SettingsError, check_settings
from models_genesis_bundle.comparison.plan import ComparisonPlan, nearest_name
from models_genesis_bundle.comparison.run import Run, planned_runs
from models_genesis_bundle.files import file_sha256

__all__ = ["ComparisonError", "check_plan"]


class ComparisonError(RuntimeError):
    """A comparison that cannot be made or would be unfair; the message names the arm, file or setting and says what to do."""


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
            training = run.training()
            # A resumed run gets `resume` too.
            _check_step(run, "training", replace(training, overrides={**training.overrides, "resume": True}))
            _check_step(run, "evaluation", run.evaluation())
    hashes = {name: _weights_hash(plan, name) for name in plan.initialisations}
    seen: dict[tuple[str | None, str], str] = {}
    for name in plan.compared:
        same = seen.setdefault((hashes[name], str(plan.initialisations[name].transfer)), name)
        if same != name:
            what = "start from scratch" if hashes[name] is None else "load the same of weight files of one content"
            raise ComparisonError(f"initialisations: {same} and {name} {what}: leave one of them out.")
    return hashes


def _check_step(run: Run, step: str, command: RunCommand) -> None:
    where = f"{step} of {run.arm}" + (f" by the recipe {run.recipe}" if run.recipe else "")
    paths = [run.plan.path(name) for name in command.config_files]
    for name, path in zip(command.config_files, paths, strict=True):
        if not path.is_file():
            near = nearest_name(name, [str(Path(name).with_name(found.name)) for found in path.parent.glob("*.yaml")])
            raise ComparisonError(f"{where}: there is no configuration {path}; {near}")
    try:
        check_settings(replace(command, config_files=tuple(map(str, paths))))
    except SettingsError as error:
        raise ComparisonError(
            f"{where}: {error} (`overrides` must exist in the configurations of both training and evaluation; "
            "`training_overrides` and `evaluation_overrides` are for one of them.)"
        ) from None


def _weights_hash(plan: ComparisonPlan, arm: str) -> str | None:
    weights = plan.initialisations[arm].initial_weights
    if weights is None:
        return None
    path = plan.path(weights)
    if not path.is_file():
        raise ComparisonError(
            f"initialisations.{arm}: there is no weight file {path}. Paths are relative to working_dir, "
            f"{plan.working_dir}; `none` starts from scratch."
        )
    return file_sha256(path)
