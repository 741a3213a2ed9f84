"""From the results of single runs to the figures that the tables show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from statistics import median

from models_genesis_bundle.comparison.convergence import epochs_to_reach
from models_genesis_bundle.comparison.plan import ComparisonPlan, Condition, Initialisation
from models_genesis_bundle.comparison.run_result import RunResult
from models_genesis_bundle.comparison.statistics import Description, PairedTest, describe, holm, paired_test

__all__ = ["ArmScores", "ComparisonSummary", "Difference", "Reaching", "reaching_epochs", "summarise"]

BySeed = Mapping[int, RunResult]
STALLED = 0.01  # mean Dice of a class below which a network never predicts it


@dataclass(frozen=True)
class ArmScores:
    """The scores of an arm under one condition.

    Args:
        arm: the initialisation.
        condition: labels and recipe.
        scores: over the seeds.
        further: the further metrics over the seeds; None for one that no run has.
        class_dice: the classes' Dice over the seeds; None for a class that no run has.
        never_predicted: by class, in how many of the runs its Dice is below `STALLED`.
        runs_without_a_class: how many of the runs have such a class.
        settled: how many of the runs had settled.
        best_epoch: the median epoch of the best validation.
        seconds: the median time of a training.
    """

    arm: Initialisation
    condition: Condition
    scores: Description
    further: Mapping[str, Description | None]
    class_dice: Mapping[str, Description | None]
    never_predicted: Mapping[str, int]
    runs_without_a_class: int
    settled: int
    best_epoch: float
    seconds: float


@dataclass(frozen=True)
class Difference:
    """An arm against the reference under one condition.

    Args:
        arm: the initialisation.
        condition: labels and recipe.
        test: the paired comparison of their scores.
        t_holm: its p of the t-test, adjusted for all arms and conditions; None where there is none.
        wilcoxon_holm: its p of Wilcoxon's test, adjusted alike.
        significant: whether ``t_holm`` is below 1 − confidence.
    """

    arm: Initialisation
    condition: Condition
    test: PairedTest
    t_holm: float | None
    wilcoxon_holm: float | None
    significant: bool


@dataclass(frozen=True)
class Reaching:
    """How soon an arm's runs were as good on the validation set as the reference's run of the same seed ever was.

    Args:
        arm: the initialisation.
        condition: labels and recipe.
        n: number of pairs.
        reached: how many of them got there.
        epochs: the median epoch at which those did; None when none did.
        ratio: the median of those epochs, each divided by that of the reference's best validation.
    """

    arm: Initialisation
    condition: Condition
    n: int
    reached: int
    epochs: float | None
    ratio: float | None


@dataclass(frozen=True)
class ComparisonSummary:
    """All that the tables and plots show.

    Args:
        plan: what was compared.
        results: of the finished runs.
        scores: by arm and condition, of those that have a finished run.
        differences: by tested arm and condition, of those that have a pair.
        reaching: likewise.
        missing: what is to be said of each run that is not finished.
        warnings: sentences about what the reader must know.
    """

    plan: ComparisonPlan
    results: tuple[RunResult, ...]
    scores: tuple[ArmScores, ...]
    differences: tuple[Difference, ...]
    reaching: tuple[Reaching, ...]
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def summarise(
    plan: ComparisonPlan, results: Sequence[RunResult], missing: Sequence[str] = (), warnings: Sequence[str] = ()
) -> ComparisonSummary:
    """Gather the figures of a comparison, or of the part of it that is finished.

    Args:
        plan: of the comparison.
        results: of its finished runs.
        missing: what is to be said of each other run.
        warnings: what was found apart from the figures; those about unsettled runs are added.
    """
    groups = {
        (condition, arm.name): {
            result.run.seed: result
            for result in results
            if result.run.condition == condition and result.run.arm.name == arm.name
        }
        for condition in plan.conditions
        for arm in plan.initialisations
    }
    scores = [
        _scores(plan, arm, condition, list(groups[condition, arm.name].values()))
        for condition in plan.conditions
        for arm in plan.initialisations
        if groups[condition, arm.name]
    ]
    pairs = [
        (arm, condition, groups[condition, arm.name], groups[condition, plan.reference])
        for condition in plan.conditions
        for arm in plan.tested
        if groups[condition, arm.name].keys() & groups[condition, plan.reference].keys()
    ]
    return ComparisonSummary(
        plan=plan,
        results=tuple(results),
        scores=tuple(scores),
        differences=_differences(plan, pairs),
        reaching=tuple(_reaching(plan, *pair) for pair in pairs),
        missing=tuple(missing),
        warnings=(*warnings, *_unsettled(scores), *_never_predicted(scores)),
    )


def reaching_epochs(plan: ComparisonPlan, result: RunResult, reference: RunResult) -> int | None:
    """The epoch at which a run's validation was first as good as the reference's best; None when it never was."""
    return epochs_to_reach(result.curve, reference.best_validation, plan.task.higher_is_better)


def _scores(plan: ComparisonPlan, arm: Initialisation, condition: Condition, results: Sequence[RunResult]) -> ArmScores:
    classes = list(dict.fromkeys(name for result in results for name in result.class_dice))
    stalled = [{name for name, dice in result.class_dice.items() if dice < STALLED} for result in results]
    return ArmScores(
        arm=arm,
        condition=condition,
        scores=describe([result.score for result in results], plan.task.higher_is_better),
        further={name: _described(result.further[name] for result in results) for name in plan.task.further_metrics},
        class_dice={name: _described(result.class_dice.get(name, nan) for result in results) for name in classes},
        never_predicted={name: sum(name in names for names in stalled) for name in classes},
        runs_without_a_class=sum(map(bool, stalled)),
        settled=sum(result.settled for result in results),
        best_epoch=median(result.best_epoch for result in results),
        seconds=median(result.seconds for result in results),
    )


def _described(values: Iterable[float]) -> Description | None:
    known = [value for value in values if not isnan(value)]
    return describe(known) if known else None


def _differences(
    plan: ComparisonPlan, pairs: Sequence[tuple[Initialisation, Condition, BySeed, BySeed]]
) -> tuple[Difference, ...]:
    tests = []
    for _, _, results, reference in pairs:
        own, other = ({seed: result.score for seed, result in group.items()} for group in (results, reference))
        tests.append(paired_test(own, other, plan.confidence))
    t_holm = holm([test.t_p for test in tests])
    wilcoxon_holm = holm([test.wilcoxon_p for test in tests])
    return tuple(
        Difference(
            arm=arm,
            condition=condition,
            test=test,
            t_holm=t_p,
            wilcoxon_holm=wilcoxon_p,
            significant=t_p is not None and t_p < 1 - plan.confidence,
        )
        for (arm, condition, _, _), test, t_p, wilcoxon_p in zip(pairs, tests, t_holm, wilcoxon_holm, strict=True)
    )


def _reaching(
    plan: ComparisonPlan, arm: Initialisation, condition: Condition, results: BySeed, reference: BySeed
) -> Reaching:
    seeds = sorted(results.keys() & reference.keys())
    epochs = {seed: reaching_epochs(plan, results[seed], reference[seed]) for seed in seeds}
    reached = {seed: epoch for seed, epoch in epochs.items() if epoch is not None}
    return Reaching(
        arm=arm,
        condition=condition,
        n=len(seeds),
        reached=len(reached),
        epochs=median(reached.values()) if reached else None,
        ratio=median(epoch / reference[seed].best_epoch for seed, epoch in reached.items()) if reached else None,
    )


def _unsettled(scores: Sequence[ArmScores]) -> list[str]:
    return [
        f"{entry.arm.name} at {entry.condition}: {entry.scores.n - entry.settled} of "
        f"{entry.scores.n} runs had not settled when they ended: still getting better, or too short to tell. Train longer "
        "before reading anything into these scores."
        for entry in scores
        if entry.settled < entry.scores.n
    ]


def _never_predicted(scores: Sequence[ArmScores]) -> list[str]:
    return [
        f"{entry.arm.name} at {entry.condition}: {entry.runs_without_a_class} of {entry.scores.n} runs never predict "
        f"{', '.join(f'{name} ({number})' for name, number in entry.never_predicted.items() if number)}. That decides the "
        "mean score, and says more of the recipe of the fine-tuning than of the initialisation."
        for entry in scores
        if entry.runs_without_a_class
    ]
