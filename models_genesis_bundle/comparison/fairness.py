"""Checks that compared runs differ in the initialisation alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from models_genesis_bundle.bundle_config import is_below, leaves
from models_genesis_bundle.comparison.checks import ComparisonError
from models_genesis_bundle.comparison.plan import TRANSFER_SETTINGS, ComparisonPlan, Labels
from models_genesis_bundle.comparison.run import Run
from models_genesis_bundle.messages import first_of
from models_genesis_bundle.weights import read_weights
from monai.bundle import ConfigParser

__all__ = ["Fairness", "cases_of"]

CASE_TABLES = ("scores.csv", "predictions.csv")
# The settings in which runs of a comparison may differ, and `resume`, which changes nothing.
VARIED = ("initial_weights", *TRANSFER_SETTINGS.values(), "seed", "label_fraction", "shots", "output_dir", "resume")
SHOWN = 5


class Fairness:
    """Compares each finished run with those before it.

    All arms that are no baselines, and all runs of one baseline, must have the same within each recipe:

    * the resolved training configurations, except for initial weights and how they are loaded, seed, amount of labels,
      output folder and paths below it and, between amounts of labels, the settings that the plan gives by amount;
    * the ``network`` and the ``preprocessing`` in the weight files that training wrote: settings left to the initial weights'
      own record would otherwise give each arm another width, other intensities or another spacing.

    All runs with the same seed and amount of labels, baselines included, must have the same scored cases.

    Args:
        plan: of the comparison.
    """

    def __init__(self, plan: ComparisonPlan) -> None:
        self.plan = plan
        self._admitted: set[Run] = set()
        self._first_settings: dict[tuple[str, str], tuple[Run, dict[str, Any]]] = {}
        self._first_cases: dict[tuple[Labels, int], tuple[Run, set[str]]] = {}

    def admit(self, run: Run) -> None:
        """Compare a finished run with the first of its group, once.

        Raises:
            ComparisonError: naming both runs, what differs, and what to do.
        """
        if run not in self._admitted:
            self._require_same_settings(run)
            self._require_same_cases(run)
            self._admitted.add(run)

    def _require_same_settings(self, run: Run) -> None:
        found = self._settings(run)
        group = run.arm if run.initialisation.baseline else "compared arms"
        other, wanted = self._first_settings.setdefault((run.recipe, group), (run, found))
        names = [name for name in dict.fromkeys([*wanted, *found]) if wanted.get(name) != found.get(name)]
        if names:
            differing = [f"{name} is {found.get(name)!r} here and {wanted.get(name)!r} there" for name in names]
            raise ComparisonError(
                f"{run} is not comparable with {other}: {first_of(differing, SHOWN, '; ')}. Runs of a comparison may differ "
                "in the initialisation alone. Set what differs under `task`, for all arms, and give the plan another "
                "output_dir."
            )

    def _require_same_cases(self, run: Run) -> None:
        cases = set(cases_of(run)["case"])
        other, wanted = self._first_cases.setdefault((run.labels, run.seed), (run, cases))
        if differing := sorted(cases ^ wanted):
            raise ComparisonError(
                f"{run} was not scored on the same cases as {other}: {first_of(differing, SHOWN)} are "
                "in one of the two sets. Give both evaluations the same data and the same split."
            )

    def _settings(self, run: Run) -> dict[str, Any]:
        """The settings that must be the same, by id."""
        if not run.config_path.is_file():
            raise ComparisonError(f"{run.config_path}: the training has written no resolved configuration to compare.")
        config = ConfigParser(ConfigParser.load_config_file(str(run.config_path)))
        planned = run.training().overrides
        for name in ("initial_weights", "seed", run.labels.setting, *run.initialisation.transfer):
            if config.get(name) != planned[name]:
                raise ComparisonError(
                    f"{run.config_path}: the training had {name}={config.get(name)!r} where the plan says "
                    f"{planned[name]!r}. Move {run.folder} away to repeat the run."
                )
        by_labels = {name for settings in self.plan.overrides_by_labels.values() for name in settings}
        settings = {
            name: value
            for name, value in _settings_of(config.get(), run.folder).items()
            if not is_below(name, by_labels.union(VARIED))
        }
        if run.weights_path.is_file():
            weights = read_weights(run.weights_path)
            recorded = {f"recorded {name}": weights.get(name) for name in ("network", "preprocessing")}
            settings |= _settings_of(recorded, run.folder)
        return settings


def cases_of(run: Run) -> pd.DataFrame:
    """The columns ``case`` and ``patient`` of a run's evaluation; without patients, the case is used for both.

    Raises:
        ComparisonError: when the evaluation has written no table of cases.
    """
    for path in (run.evaluation_dir / name for name in CASE_TABLES):
        if path.is_file():
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            if "case" not in table:
                raise ComparisonError(f"{path}: expected a column 'case', found {', '.join(table.columns)}.")
            patients = table.get("patient", table["case"])
            return pd.DataFrame({"case": table["case"], "patient": patients.where(patients != "", table["case"])})
    raise ComparisonError(f"{run.evaluation_dir}: expected the evaluation's {' or '.join(CASE_TABLES)}, found neither.")


def _settings_of(node: Any, folder: Path) -> dict[str, Any]:
    """The values of a configuration by their places, with the run's folder replaced by its name."""
    return {
        place: value.replace(str(folder), "{folder}") if isinstance(value, str) else value
        for place, value in leaves(node)
    }
