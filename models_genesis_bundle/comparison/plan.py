"""The plan of a comparison: arms, task, recipes, labels and seeds. See docs/how-to/comparison.md."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import yaml
from models_genesis_bundle.bundle_config import near_names
from models_genesis_bundle.files import read_unicode
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

# The settings for the keys of an arm that say how to load its weights.
TRANSFER_SETTINGS = {
    "transfer_parts": "starting_point::parts",
    "keep_weight_norms": "starting_point::keep_weight_norms",
}
# Settings that the comparison sets for every run.
RUN_SETTINGS = {"initial_weights", "seed", "label_fraction", "shots", "section", "output_dir", "resume"}
RUN_SETTINGS |= {"ckpt_path", "ckpt_dir"}


class PlanError(ValueError):
    """A plan is invalid; the message names the file, the key, what was expected, and what was found."""


def nearest_name(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: similar known names or, if there are none, all known names."""
    known = list(known)
    near = near_names(name, known, quote="'")
    return f"did you mean {near}?" if near else f"known are {', '.join(known) or 'none'}."


def _without_run_settings(overrides: dict[str, Any]) -> dict[str, Any]:
    for name in RUN_SETTINGS.intersection(overrides):
        raise ValueError(f"{name!r} is set by the comparison for each run. Remove it.")
    return overrides


def _each_once(values: tuple) -> tuple:
    if len(set(values)) < len(values):
        raise ValueError(f"expected different numbers, found {list(values)}.")
    return values


Text = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
Folder = Annotated[Path, Field(strict=False)]
FolderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]  # also used as the name of folders
Share = Annotated[float, Field(gt=0, le=1)]
Number = Annotated[int, Field(ge=1)]
Overrides = Annotated[dict[str, Any], AfterValidator(_without_run_settings)]
EachOnce = (Field(strict=False, min_length=1), AfterValidator(_each_once))


class PlanPart(BaseModel):
    """A part of a plan."""

    model_config = ConfigDict(frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _without_unknown_keys(cls, given: Any) -> Any:
        for name in given if isinstance(given, dict) else ():
            if name not in cls.model_fields:
                raise ValueError(f"unknown key {name!r}; {nearest_name(str(name), cls.model_fields)}")
        return given


class Recipe(PlanPart):
    """A way of fine-tuning, which is used for all arms. Its settings override those of the task."""

    training: Names = ()  # configuration files of the fine-tuning, in the order in which they are merged
    evaluation: Names = ()  # configuration files of the evaluation
    overrides: Overrides = {}  # settings for both, as on the command line
    training_overrides: Overrides = {}  # settings only for training
    evaluation_overrides: Overrides = {}  # settings only for evaluation


class Task(Recipe):
    """The task of every run: configurations, settings and metrics."""

    name: Text  # title of tables and plots
    training: Annotated[Names, Field(min_length=1)]
    evaluation: Annotated[Names, Field(min_length=1)]
    metric: Text  # the score of a run: a metric in the evaluation's summary.json
    validation_metric: Text  # column of metrics.csv for learning curves and convergence
    higher_is_better: bool = True  # whether higher values of both metrics are better
    further_metrics: Names = ()  # more metrics of summary.json, reported as mean and standard deviation without tests
    fraction_overrides: dict[Share, Overrides] = {}  # settings for training, by label fraction
    shots_overrides: dict[Number, Overrides] = {}  # settings for training, by number of shots


class Initialisation(PlanPart):
    """The start of the runs of one arm. In a plan, a text is a short form of ``initial_weights``."""

    initial_weights: Text | None  # a weight file; None starts from scratch
    transfer_parts: Names | None = None  # parts of the file to load; None: as in the configurations
    keep_weight_norms: bool | None = (
        None  # whether weights are scaled to the norms of new ones; None: as in the configurations
    )
    baseline: bool = False  # whether the arm is another network, which is reported but not tested
    configs: Names = ()  # more configuration files for training and evaluation, only for a baseline
    overrides: Overrides = {}  # more settings for both, only for a baseline

    @model_validator(mode="before")
    @classmethod
    def _weights_alone(cls, given: Any) -> Any:
        given = dict(given) if isinstance(given, dict) else {"initial_weights": given}
        if "initial_weights" in given and str(given["initial_weights"]).lower() == "none":
            given["initial_weights"] = None
        return given

    @model_validator(mode="after")
    def _differs_in_the_initialisation_alone(self) -> Initialisation:
        if not self.baseline and (self.configs or self.overrides):
            raise ValueError(
                f"{'configs' if self.configs else 'overrides'} for one arm would make it differ in more than the "
                "initialisation. Put settings of all arms under `task`. For an arm with another network, set `baseline: true`."
            )
        if self.initial_weights is None and self.transfer:
            given = next(key for key in TRANSFER_SETTINGS if getattr(self, key) is not None)
            raise ValueError(f"{given} needs initial_weights, found none. Remove it, or give initial_weights.")
        return self

    @property
    def transfer(self) -> dict[str, Any]:
        """The arm's settings for loading the file, by their names in the configurations."""
        given = self.model_dump(mode="json", include=set(TRANSFER_SETTINGS), exclude_none=True)
        return {TRANSFER_SETTINGS[key]: value for key, value in given.items()}


class Labels(NamedTuple):
    """The training patients that keep their labels: a fraction in (0, 1], or a number from 1."""

    setting: str  # label_fraction or shots
    amount: float

    def __str__(self) -> str:
        if self.setting == "shots":
            return "1 shot" if self.amount == 1 else f"{self.short} shots"
        return f"{self.short} of the labels"

    @property
    def short(self) -> str:
        """The amount as text for tables."""
        return f"{self.amount:g}" if self.setting == "shots" else f"{100 * self.amount:.4g} %"

    @property
    def folder(self) -> str:
        """The name of the runs' folder."""
        return f"shots_{self.amount}" if self.setting == "shots" else f"fraction_{self.amount:.6g}"


class ComparisonPlan(PlanPart):
    """A comparison of initialisations: a run for each arm, recipe, seed and amount of labels."""

    working_dir: Folder = Field(Path("."), validate_default=True)  # the bundle's root, where the commands run
    output_dir: Folder  # folder of all runs and of the results
    task: Task
    initialisations: dict[FolderName, Initialisation]  # the arms
    reference: str  # the arm that the others are tested against
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], *EachOnce]  # random seeds of the runs
    label_fractions: Annotated[tuple[Share, ...], *EachOnce] | None = None  # fractions of the training patients
    shots: Annotated[tuple[Number, ...], *EachOnce] | None = None  # numbers of patients, instead of label_fractions
    recipes: dict[FolderName, Recipe] = {}  # the others are tested against the first
    section: Literal["test", "validation"] = "test"  # the patients to score
    jobs: Number = 1  # number of runs at the same time
    threads_per_job: Number = 1  # OMP_NUM_THREADS of a run
    confidence: Annotated[float, Field(gt=0, le=0.9999)] = 0.95  # level of the intervals, and 1 - significance level
    settled_tolerance: Share = 0.01  # see `has_settled`

    @field_validator("working_dir", "output_dir")
    @classmethod
    def _absolute(cls, folder: Path, info: Any) -> Path:
        return info.data.get("working_dir", Path.cwd()) / folder

    @model_validator(mode="after")
    def _one_kind_of_labels(self) -> ComparisonPlan:
        if (self.label_fractions is None) == (self.shots is None):
            raise ValueError("expected one of the keys 'label_fractions' and 'shots', found both or neither.")
        overrides = self.overrides_by_labels
        for labels in self.labels if overrides else ():
            if labels.amount not in overrides:
                raise ValueError(
                    f"task.{'shots' if self.shots else 'fraction'}_overrides: expected an entry for each amount of labels, found "
                    f"none for {labels.amount:g}, only for {', '.join(map('{:g}'.format, overrides))}. Write {{}} for no overrides."
                )
        return self

    @model_validator(mode="after")
    def _arms_to_compare(self) -> ComparisonPlan:
        if len(self.initialisations) < 2:
            raise ValueError(f"initialisations: expected two or more to compare, found {len(self.initialisations)}.")
        if self.reference in self.initialisations and self.reference not in self.compared:
            raise ValueError(f"reference: expected an initialisation that is not a baseline, found {self.reference!r}.")
        if self.reference not in self.compared:
            near = nearest_name(self.reference, self.compared)
            raise ValueError(f"reference: {self.reference!r} is no initialisation of this plan; {near}")
        return self

    @property
    def labels(self) -> list[Labels]:
        """All amounts of labels in ascending order."""
        setting = "shots" if self.shots else "label_fraction"
        return [Labels(setting, amount) for amount in sorted(self.shots or self.label_fractions or ())]

    @property
    def overrides_by_labels(self) -> dict[Any, dict[str, Any]]:
        """The task's settings by amount of labels."""
        return self.task.shots_overrides if self.shots else self.task.fraction_overrides

    @property
    def compared(self) -> list[str]:
        """The arms that are not baselines."""
        return [name for name, arm in self.initialisations.items() if not arm.baseline]

    @property
    def results_dir(self) -> Path:
        """The folder of tables and plots."""
        return self.output_dir if self.section == "test" else self.output_dir / self.section


Part = TypeVar("Part", bound=PlanPart)


def read_plan(path: str | os.PathLike, **replaced: Any) -> ComparisonPlan:
    """Read and check a plan, and make its folders absolute.

    Args:
        path: YAML file with the keys of `ComparisonPlan`, `Task`, `Recipe` and `Initialisation`. The value of ``task`` may be
            the path of another YAML file, so that several plans can share a task.
        replaced: values that replace those of the file, such as from the command line; None is ignored.

    Raises:
        PlanError: the plan is invalid; the message names the file and each wrong key, and suggests a key for an unknown one.
    """
    content = _read_yaml(Path(path))
    if isinstance(content, dict):
        content |= {name: value for name, value in replaced.items() if value is not None}
        if isinstance(content.get("task"), str):
            task_path = Path(str(content.get("working_dir", ".")), content["task"])
            content["task"] = _checked(Task, _read_yaml(task_path), task_path)
    return _checked(ComparisonPlan, content, Path(path))


def _checked(part: type[Part], content: Any, path: Path) -> Part:
    try:
        return part.model_validate(content)
    except ValidationError as error:
        raise PlanError("\n".join(f"{path}: {_message(dict(entry))}" for entry in error.errors())) from None


def _message(error: dict[str, Any]) -> str:
    keys = [str(key) for key in error["loc"] if key != "[key]"]
    if error["type"] == "missing":
        message = f"the key {keys.pop()!r} is missing."
    elif error["type"] == "value_error":
        message = str(error["ctx"]["error"])
    else:
        message = error["msg"].removeprefix("Input ").removeprefix("Tuple ")
        message = message.replace("a valid tuple", "a list").replace("a valid dictionary", "a mapping")
        message = f"{message}, found {error['input']!r}."
    return f"{'.'.join(keys)}: {message}" if keys else message


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.load(read_unicode(path), Loader=_PlanLoader)
    except OSError:
        raise PlanError(f"{path}: the file does not exist or cannot be read.") from None
    except yaml.YAMLError as error:
        raise PlanError(f"{path}: not a readable YAML file: {error}") from error


class _PlanLoader(yaml.SafeLoader):
    """YAML loader that refuses a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)
