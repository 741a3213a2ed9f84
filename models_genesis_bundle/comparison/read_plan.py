"""Reading of a plan: a YAML file that is checked before anything runs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from models_genesis_bundle.comparison.nearest_name import nearest_name
from models_genesis_bundle.comparison.plan import (
    TRANSFER_SETTINGS,
    ComparisonPlan,
    Initialisation,
    Labels,
    Recipe,
    Task,
)
from models_genesis_bundle.comparison.plan_file import read_plan_file
from models_genesis_bundle.comparison.plan_values import PlanError, distinct, mapping, names, number, text, truth, whole

__all__ = ["read_plan"]

# What the comparison itself gives to every run.
OWN_SETTINGS = (
    *("initial_weights", "seed", "label_fraction", "shots", "section"),
    *("output_dir", "resume", "ckpt_path", "ckpt_dir"),
)
FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def read_plan(path: str | os.PathLike, **replaced: Any) -> ComparisonPlan:
    """Read and check a plan.

    Args:
        path: the YAML file; its keys are those of `ComparisonPlan`, `Task` and `Initialisation`. The task may stand in a
            YAML file of its own, which several plans name.
        replaced: keys given elsewhere, on the command line for example, in place of the file's; None is passed over.

    Returns:
        The plan, with absolute folders and the fractions in ascending order.

    Raises:
        PlanError: naming the file and the key that cannot be followed, and the nearest key for an unknown one.
    """
    path = Path(path)
    content = read_plan_file(path)
    try:
        given = {**mapping(content, "plan"), **{name: value for name, value in replaced.items() if value is not None}}
        return _plan(given)
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from None


def _plan(given: Mapping[str, Any]) -> ComparisonPlan:
    labels, rest = _labels(given)
    values = _complete(ComparisonPlan, {"working_dir": ".", **rest, "labels": labels}, "the plan")
    working_dir = Path(text(values["working_dir"], "working_dir")).absolute()
    entries = mapping(values["initialisations"], "initialisations")
    arms = tuple(_initialisation(str(name), entry) for name, entry in entries.items())
    _check_arms(arms, values["reference"])
    task = _task_here_or_in_a_file(values["task"], working_dir)
    _check_overrides_by_labels(task, labels)
    recipes = mapping(values["recipes"], "recipes") if "recipes" in given else {}
    if values["section"] not in ("test", "validation"):
        raise PlanError(f"section: expected test or validation, found {values['section']!r}.")
    return ComparisonPlan(
        output_dir=working_dir / text(values["output_dir"], "output_dir"),
        working_dir=working_dir,
        task=task,
        initialisations=arms,
        reference=values["reference"],
        seeds=tuple(whole(seed, "seeds", 0) for seed in distinct(values["seeds"], "seeds")),
        labels=labels,
        recipes=tuple(_recipe(str(name), entry) for name, entry in recipes.items()) or (Recipe(),),
        section=values["section"],
        jobs=whole(values["jobs"], "jobs", 1),
        threads_per_job=whole(values["threads_per_job"], "threads_per_job", 1),
        confidence=number(values["confidence"], "confidence", 0, 0.9999),
        settled_tolerance=number(values["settled_tolerance"], "settled_tolerance", 0, 1),
    )


def _task_here_or_in_a_file(given: Any, working_dir: Path) -> Task:
    if not isinstance(given, str):
        return _task(given)
    content = read_plan_file(working_dir / given)
    try:
        return _task(content)
    except PlanError as error:
        raise PlanError(f"{given}: {error}") from None


def _task(given: Any) -> Task:
    values = _complete(Task, mapping(given, "task"), "task")
    for name in ("name", "metric", "validation_metric"):
        values[name] = text(values[name], f"task.{name}")
    for name in ("training", "evaluation", "further_metrics"):
        values[name] = names(values[name], f"task.{name}")
    for name in ("training", "evaluation"):
        if not values[name]:
            raise PlanError(f"task.{name}: expected one configuration file or more, found an empty list.")
    for name in ("overrides", "training_overrides", "evaluation_overrides"):
        values[name] = _overrides(values[name], f"task.{name}")
    values["fraction_overrides"] = {
        number(fraction, "task.fraction_overrides", 0, 1): _overrides(given, f"task.fraction_overrides.{fraction}")
        for fraction, given in mapping(values["fraction_overrides"], "task.fraction_overrides").items()
    }
    values["shots_overrides"] = {
        whole(shots, "task.shots_overrides", 1): _overrides(given, f"task.shots_overrides.{shots}")
        for shots, given in mapping(values["shots_overrides"], "task.shots_overrides").items()
    }
    values["higher_is_better"] = truth(values["higher_is_better"], "task.higher_is_better")
    return Task(**values)


def _labels(given: Mapping[str, Any]) -> tuple[tuple[Labels, ...], dict[str, Any]]:
    """The amounts of labels, from ``label_fractions`` or ``shots``, and the other keys."""
    rest = {name: value for name, value in given.items() if name not in ("label_fractions", "shots")}
    if "labels" in rest or len(given) - len(rest) > 1:
        raise PlanError("the plan: expected one of 'label_fractions' and 'shots', found both or another key 'labels'.")
    if len(given) == len(rest):
        raise PlanError("the plan: the key 'label_fractions' is missing, or 'shots' in its place.")
    if "shots" in given:
        numbers = sorted(whole(shots, "shots", 1) for shots in distinct(given["shots"], "shots"))
        return tuple(Labels("shots", shots) for shots in numbers), rest
    shares = distinct(given["label_fractions"], "label_fractions")
    fractions = sorted(number(fraction, "label_fractions", 0, 1) for fraction in shares)
    return tuple(Labels("label_fraction", fraction) for fraction in fractions), rest


def _check_overrides_by_labels(task: Task, labels: tuple[Labels, ...]) -> None:
    for setting, amount in ((entry.setting, entry.amount) for entry in labels):
        own = task.overrides_by(setting)
        if own and amount not in own:
            key, what = ("shots_overrides", "shots") if setting == "shots" else ("fraction_overrides", "label fraction")
            raise PlanError(
                f"task.{key}: the {what} {amount:g} has none, only {', '.join(map('{:g}'.format, own))}. Where one has "
                "some, all must: {} for nothing."
            )


def _recipe(name: str, given: Any) -> Recipe:
    where = f"recipes.{name}"
    _require_folder_name(name, where)
    values = _complete(Recipe, {**mapping(given, where), "name": name}, where)
    for key in ("training", "evaluation"):
        values[key] = names(values[key], f"{where}.{key}")
    for key in ("overrides", "training_overrides", "evaluation_overrides"):
        values[key] = _overrides(values[key], f"{where}.{key}")
    return Recipe(**values)


def _require_folder_name(name: str, where: str) -> None:
    if not FOLDER_NAME.fullmatch(name):
        raise PlanError(f"{where}: the name is that of folders, too: letters, digits, '.', '_' and '-'.")


def _initialisation(name: str, given: Any) -> Initialisation:
    where = f"initialisations.{name}"
    _require_folder_name(name, where)
    entry = dict(given) if isinstance(given, Mapping) else {"initial_weights": given}
    if "name" in entry:
        raise PlanError(f"{where}: unknown key 'name'; the key that stands above is the name.")
    values = _complete(Initialisation, {**entry, "name": name}, where)
    weights = values["initial_weights"]
    scratch = weights is None or str(weights).lower() == "none"
    parts, norms = values["transfer_parts"], values["keep_weight_norms"]
    for key in TRANSFER_SETTINGS:
        if scratch and values[key] is not None:
            raise PlanError(f"{where}: {key} says how initial_weights are loaded, and there are none.")
    arm = Initialisation(
        name=name,
        initial_weights=None if scratch else text(weights, f"{where}.initial_weights"),
        transfer_parts=None if parts is None else names(parts, f"{where}.transfer_parts"),
        keep_weight_norms=None if norms is None else truth(norms, f"{where}.keep_weight_norms"),
        baseline=truth(values["baseline"], f"{where}.baseline"),
        configs=names(values["configs"], f"{where}.configs"),
        overrides=_overrides(values["overrides"], f"{where}.overrides"),
    )
    if not arm.baseline and (arm.configs or arm.overrides):
        raise PlanError(
            f"{where}: {'configs' if arm.configs else 'overrides'} of its own would make this arm differ in more than "
            "the initialisation. Put what all arms share under `task`; mark another network with `baseline: true`."
        )
    return arm


def _check_arms(arms: tuple[Initialisation, ...], reference: Any) -> None:
    if len(arms) < 2:
        raise PlanError(f"initialisations: expected two or more to compare, found {len(arms)}.")
    chosen = next((arm for arm in arms if arm.name == reference), None)
    if chosen is None:
        near = nearest_name(str(reference), [arm.name for arm in arms])
        raise PlanError(f"reference: {reference!r} is no initialisation of this plan; {near}")
    if chosen.baseline:
        raise PlanError(f"reference: {reference!r} is a baseline, another network; the tests need an arm that is not.")


def _complete(cls: type, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The given values of a class's fields, with the defaults of those that are not given."""
    known = {entry.name: entry for entry in fields(cls)}
    for name in given:
        if name not in known:
            raise PlanError(f"{where}: unknown key {name!r}; {nearest_name(str(name), known)}")
    values = {}
    for name, entry in known.items():
        if name in given:
            values[name] = given[name]
        elif entry.default is not MISSING:
            values[name] = entry.default
        elif entry.default_factory is not MISSING:
            values[name] = entry.default_factory()
        else:
            raise PlanError(f"{where}: the key {name!r} is missing.")
    return values


def _overrides(value: Any, where: str) -> dict[str, Any]:
    overrides = mapping(value, where)
    for name in overrides:
        if name in OWN_SETTINGS:
            raise PlanError(f"{where}: {name!r} is set by the comparison for each run; leave it out.")
    return overrides
