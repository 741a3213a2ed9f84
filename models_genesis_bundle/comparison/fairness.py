"""Checks that a comparison is fair, and cautions for its report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from models_genesis_bundle.bundle_config import RunCommand, SettingsError, check_settings, is_below, leaves
from models_genesis_bundle.comparison.plan import TRANSFER_SETTINGS, ComparisonPlan, Labels, nearest_name
from models_genesis_bundle.comparison.run import Run, planned_runs
from models_genesis_bundle.data.datalists.patients import known_patients
from models_genesis_bundle.data.scans.preprocessing import ScanPreprocessing
from models_genesis_bundle.files import file_sha256
from models_genesis_bundle.messages import first_of
from models_genesis_bundle.weights import CheckpointError, read_checkpoint, read_weights
from models_genesis_bundle.weights.sources import read_source
from monai.bundle import ConfigParser

CASE_TABLES = ("scores.csv", "predictions.csv")
# Settings that may differ between the runs of a comparison.
VARIED = ("initial_weights", *TRANSFER_SETTINGS.values(), "seed", "label_fraction", "shots", "output_dir", "resume")
OWN = "the scan's own"  # preprocessing that is not set


class ComparisonError(RuntimeError):
    """A comparison is impossible or would be unfair; the message names the arm, file or setting and says what to do."""


def check_plan(plan: ComparisonPlan) -> dict[str, str | None]:
    """Check that a comparison is possible and fair.

    Returns:
        SHA-256 of the initial weights by arm; None for an arm that starts from scratch.

    Raises:
        ComparisonError: a configuration or weight file does not exist, the configurations do not have a setting, two arms load
            the same weights, or arms would preprocess the scans differently.
    """
    runs = planned_runs(plan)
    for run in runs:
        if run.seed == plan.seeds[0]:
            training = run.training()
            _check_step(run, "training", replace(training, overrides={**training.overrides, "resume": True}))
            _check_step(run, "evaluation", run.evaluation())
    hashes = {name: _weights_hash(plan, name) for name in plan.initialisations}
    seen: dict[tuple[str | None, str], str] = {}
    for name in plan.compared:
        same = seen.setdefault((hashes[name], str(plan.initialisations[name].transfer)), name)
        if same != name:
            what = "start from scratch" if hashes[name] is None else "load the same parts of identical weight files"
            raise ComparisonError(f"initialisations: {same} and {name} {what}. Remove one of them.")
    records = {arm: _recorded_preprocessing(plan, arm) for arm in plan.compared}
    for run in {run.recipe: run for run in runs if run.arm in plan.compared}.values():
        _check_preprocessing(run, {arm: record for arm, record in records.items() if record is not None})
    return hashes


def _check_step(run: Run, step: str, command: RunCommand) -> None:
    where = f"{step} of {run.arm}" + (f" by the recipe {run.recipe}" if run.recipe else "")
    for name in command.config_files:
        path = run.plan.working_dir / name
        if not path.is_file():
            near = nearest_name(name, [str(Path(name).with_name(found.name)) for found in path.parent.glob("*.yaml")])
            raise ComparisonError(f"{where}: there is no configuration {path}; {near}")
    try:
        check_settings(_with_absolute_paths(run, command))
    except SettingsError as error:
        raise ComparisonError(
            f"{where}: {error} (`overrides` must exist in the configurations of both training and evaluation; "
            "use `training_overrides` or `evaluation_overrides` for settings of one of them.)"
        ) from None


def _with_absolute_paths(run: Run, command: RunCommand) -> RunCommand:
    return replace(command, config_files=tuple(str(run.plan.working_dir / name) for name in command.config_files))


def _weights_hash(plan: ComparisonPlan, arm: str) -> str | None:
    weights = plan.initialisations[arm].initial_weights
    if weights is None:
        return None
    path = plan.working_dir / weights
    if not path.is_file():
        raise ComparisonError(
            f"initialisations.{arm}: there is no weight file {path}. Paths are relative to working_dir, "
            f"{plan.working_dir}; `none` starts from scratch."
        )
    return file_sha256(path)


def _check_preprocessing(run: Run, records: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse arms whose weight files record different preprocessing, where this run's recipe leaves it to the weights."""
    settings = _with_absolute_paths(run, run.training()).resolved_config().get("scan_preprocessing")
    if not isinstance(settings, Mapping) or "record" not in settings:
        return
    for name in (name for name in ("intensity", "spacing", "orientation") if settings.get(name) is None):
        values = {arm: record[name] for arm, record in records.items()}
        if any(value != next(iter(values.values())) for value in values.values()):
            listed = ", ".join(f"{arm}: {value or OWN}" for arm, value in values.items())
            raise ComparisonError(
                f"scan_preprocessing::{name} differs between the arms ({listed}), because it comes from their initial weights. "
                f"Set scan_preprocessing::{name} under `training_overrides` of the task, so that it is the same for all arms."
            )


def _recorded_preprocessing(plan: ComparisonPlan, arm: str) -> dict[str, Any] | None:
    """The preprocessing that an arm's weight file records, or the default from scratch; None if it is not known."""
    weights = plan.initialisations[arm].initial_weights
    if weights is None:
        return ScanPreprocessing().record()
    try:
        record = read_source(plan.working_dir / weights).preprocessing
        return None if record is None else ScanPreprocessing.from_record(record).record()
    except (CheckpointError, KeyError, TypeError, ValueError):
        return None


class Fairness:
    """Compares each finished run with the earlier ones.

    All runs of a recipe must have the same resolved training configuration, and the same ``network`` and ``preprocessing`` in
    their weight files. Runs may differ in the initial weights and their loading, the seed, the amount of labels with the
    plan's settings for it, and the output folder. Each baseline is compared only with itself.

    All runs with the same seed and amount of labels, also those of baselines, must have the same scored cases.
    """

    def __init__(self) -> None:
        self._admitted: set[Run] = set()
        self._first_settings: dict[tuple[str, str], tuple[Run, dict[str, Any]]] = {}
        self._first_cases: dict[tuple[Labels, int], tuple[Run, set[str]]] = {}

    def admit(self, run: Run) -> None:
        """Compare a finished run with the first of its group; a `ComparisonError` names both and the differences."""
        if run in self._admitted:
            return
        settings = _settings(run)
        group = run.arm if run.initialisation.baseline else "compared arms"
        other, wanted = self._first_settings.setdefault((run.recipe, group), (run, settings))
        names = [name for name in dict.fromkeys([*wanted, *settings]) if wanted.get(name) != settings.get(name)]
        if names:
            differing = [f"{name} is {settings.get(name)!r} here and {wanted.get(name)!r} there" for name in names]
            raise ComparisonError(
                f"{run} is not comparable with {other}: {first_of(differing, separator='; ')}. Runs of a comparison may differ "
                "only in the initialisation. Put these settings under `task`, so that they apply to all arms, and give the plan "
                "another output_dir."
            )
        cases = set(cases_of(run)["case"])
        other, same = self._first_cases.setdefault((run.labels, run.seed), (run, cases))
        if in_one := sorted(cases ^ same):
            raise ComparisonError(
                f"{run} was not scored on the same cases as {other}: {first_of(in_one)} are "
                "in one of the two sets. Give both evaluations the same data and the same split."
            )
        self._admitted.add(run)


def _settings(run: Run) -> dict[str, Any]:
    path = run.folder / "config.yaml"
    if not path.is_file():
        raise ComparisonError(
            f"{path}: the training wrote no resolved configuration, which the comparison needs. Move {run.folder} away "
            "to repeat the run."
        )
    config = ConfigParser(ConfigParser.load_config_file(str(path)))
    planned = run.training().overrides
    for name in ("initial_weights", "seed", run.labels.setting, *run.initialisation.transfer):
        if config.get(name) != planned[name]:
            raise ComparisonError(
                f"{path}: the training had {name}={config.get(name)!r} where the plan says {planned[name]!r}. Move "
                f"{run.folder} away to repeat the run."
            )
    varied = {name for settings in run.plan.overrides_by_labels.values() for name in settings}.union(VARIED)
    settings = {place: value for place, value in leaves(config.get()) if not is_below(place, varied)}
    if run.weights_path.is_file():
        weights = read_weights(run.weights_path)
        settings |= leaves({f"recorded {name}": weights.get(name) for name in ("network", "preprocessing")})
    folder = str(run.folder)
    return {
        place: value.replace(folder, "{folder}") if isinstance(value, str) else value
        for place, value in settings.items()
    }


def cases_of(run: Run) -> pd.DataFrame:
    """The columns ``case`` and ``patient`` of a run's evaluation; a missing patient gets the name of the case."""
    for path in (run.evaluation_dir / name for name in CASE_TABLES):
        if path.is_file():
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            if "case" not in table:
                raise ComparisonError(f"{path}: expected a column 'case', found {', '.join(table.columns)}.")
            patients = table.get("patient", table["case"])
            return pd.DataFrame({"case": table["case"], "patient": patients.where(patients != "", table["case"])})
    raise ComparisonError(f"{run.evaluation_dir}: expected the evaluation's {' or '.join(CASE_TABLES)}, found neither.")


def pretraining_cautions(plan: ComparisonPlan, finished: Iterable[Run]) -> list[str]:
    """Warn of arms that were pretrained on scored patients, or whose weight file does not record the patients.

    The names of the scored patients are compared with the hashes of names in the weight file, see ``ScanCubes.record``.
    """
    patients = {patient for run in finished for patient in cases_of(run)["patient"]}
    cautions = []
    for name, arm in plan.initialisations.items():
        if arm.initial_weights is None:
            continue
        try:
            seen = _patients_seen(read_checkpoint(plan.working_dir / arm.initial_weights))
        except (CheckpointError, KeyError, TypeError):
            cautions.append(
                f"{name}: {arm.initial_weights} does not record which patients it was pretrained on: "
                f"whether {plan.section} patients were among them cannot be checked."
            )
            continue
        if both := known_patients(patients, seen):
            cautions.append(
                f"{name}: {len(both)} of {len(patients)} {plan.section} patients were seen in its pretraining ({first_of(both)}). "
                "Its scores are not those of unseen patients: pretrain without them, or leave them out."
            )
    return cautions


def _patients_seen(record: Mapping[str, Any]) -> set[str]:
    """Hashes of the patients in the training of a weight file and of its initial weights."""
    start = record.get("initial_weights")
    before = set() if start is None or start["file"] == "none" else _patients_seen(start)
    return before.union(record["data"]["patient_hashes"])
