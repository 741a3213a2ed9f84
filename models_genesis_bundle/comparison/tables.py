"""A comparison as tables: a CSV of the runs, and the figures as Markdown to read and as JSON to compute with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models_genesis_bundle.comparison.plan import ComparisonPlan, Condition, Initialisation
from models_genesis_bundle.comparison.runs import planned_runs
from models_genesis_bundle.comparison.statistics import Description, PairedTest
from models_genesis_bundle.comparison.summary import STALLED, ArmScores, ComparisonSummary, Difference, reaching_epochs
from models_genesis_bundle.files import whole_file, write_table
from models_genesis_bundle.reports.summary_file import write_summary

__all__ = ["results_markdown", "write_tables"]

MARK = " †"
NONE = "–"


def write_tables(summary: ComparisonSummary, folder: Path) -> None:
    """Write ``results.csv`` (a row for each finished run), ``results.md`` and ``results.json``, each whole or not at all."""
    write_table(folder / "results.csv", _rows(summary))
    write_summary(folder / "results.json", _content(summary))
    with whole_file(folder / "results.md") as unfinished:
        unfinished.write_text(results_markdown(summary), encoding="utf-8")


def results_markdown(summary: ComparisonSummary) -> str:
    """The figures and what they say, ready for the appendix of a paper."""
    sections = (_introduction, _scores, _classes, _further, _differences, _reaching, _missing, _warnings, _methods)
    return "\n\n".join(text for section in sections if (text := section(summary))) + "\n"


def _introduction(summary: ComparisonSummary) -> str:
    plan = summary.plan
    total = len(planned_runs(plan))
    better = "higher" if plan.task.higher_is_better else "lower"
    return (
        f"# {plan.task.name}: comparison of initialisations\n\n"
        f"Score: `{plan.task.metric}` on the {plan.section} patients, {better} is better. Reference: {plan.reference}. "
        f"{len(summary.results)} of {total} runs are finished"
        + (
            f"; **{total - len(summary.results)} are missing, this is a part of the comparison.**"
            if summary.missing
            else "."
        )
        + ("" if plan.section == "test" else f"\n\n{_chosen_on_validation(summary)}")
    )


def _chosen_on_validation(summary: ComparisonSummary) -> str:
    tested = sum((result.run.folder / "test" / "summary.json").is_file() for result in summary.results)
    return "These scores serve to choose: the epoch of the best weights was chosen on the same patients. " + (
        f"{tested} of the runs were scored on test patients, too." if tested else "Test patients were not touched."
    )


def _scores(summary: ComparisonSummary) -> str:
    header = [
        *_condition_names(summary),
        "initialisation",
        "runs",
        "mean ± sd",
        "median",
        "best",
        "settled",
        "best epoch",
        "minutes",
    ]
    rows = [
        [
            *_condition(summary, entry.condition),
            _name(entry.arm),
            str(entry.scores.n),
            _spread(entry.scores),
            _figure(entry.scores.median),
            _figure(entry.scores.best),
            f"{entry.settled} of {entry.scores.n}",
            f"{entry.best_epoch:g}",
            f"{entry.seconds / 60:.1f}",
        ]
        for entry in summary.scores
    ]
    if not rows:
        return ""
    text = "## Scores\n\n" + _table(header, rows)
    if any(entry.arm.baseline for entry in summary.scores):
        text += f"\n\n{MARK.strip()} another network: shown for orientation, outside of all tests."
    return text


def _further(summary: ComparisonSummary) -> str:
    names = summary.plan.task.further_metrics
    if not names or not summary.scores:
        return ""
    rows = [
        [*_condition(summary, entry.condition), _name(entry.arm), *(_further_cell(entry, name) for name in names)]
        for entry in summary.scores
    ]
    header = [*_condition_names(summary), "initialisation", *(f"`{name}`" for name in names)]
    return "## Further metrics\n\nMean ± sd over the runs; not tested.\n\n" + _table(header, rows)


def _classes(summary: ComparisonSummary) -> str:
    names = list(dict.fromkeys(name for entry in summary.scores for name in entry.class_dice))
    if not names:
        return ""
    rows = [
        [
            *_condition(summary, entry.condition),
            _name(entry.arm),
            *(_class_cell(entry, name) for name in names),
            f"{entry.runs_without_a_class} of {entry.scores.n}",
        ]
        for entry in summary.scores
    ]
    header = [*_condition_names(summary), "initialisation", *names, "runs without a class"]
    return (
        f"## Dice by class\n\nMean ± sd over the runs; not tested. A Dice below {STALLED:g} counts as a class that is never "
        f"predicted: where there are such runs, their number follows.\n\n" + _table(header, rows)
    )


def _class_cell(entry: ArmScores, name: str) -> str:
    description = entry.class_dice.get(name)
    if description is None:
        return NONE
    never = entry.never_predicted[name]
    return _spread(description) + (f", never {never}" if never else "")


def _further_cell(entry: ArmScores, name: str) -> str:
    description = entry.further[name]
    if description is None:
        return NONE
    return _spread(description) + (f" ({description.n} runs)" if description.n < entry.scores.n else "")


def _differences(summary: ComparisonSummary) -> str:
    if not summary.differences:
        return ""
    plan = summary.plan
    interval = f"{_percent(plan.confidence)} interval"
    header = [
        *_condition_names(summary),
        "initialisation",
        "pairs",
        "difference",
        interval,
        "t-test p",
        "Holm",
        "Wilcoxon p",
        "Holm",
    ]
    rows = [
        [
            *_condition(summary, entry.condition),
            entry.arm.name,
            str(entry.test.n),
            _figure(entry.test.mean, "+"),
            _interval(entry.test),
            _p(entry.test.t_p),
            _p(entry.t_holm),
            _p(entry.test.wilcoxon_p),
            _p(entry.wilcoxon_holm),
        ]
        for entry in summary.differences
    ]
    sentences = "\n".join(f"- {_sentence(summary, entry)}" for entry in summary.differences)
    return f"## Differences from {plan.reference}\n\n{_table(header, rows)}\n\n{sentences}"


def _sentence(summary: ComparisonSummary, entry: Difference) -> str:
    plan, test = summary.plan, entry.test
    where = f"{entry.condition}: {entry.arm.name}"
    if test.n == 1:
        return f"{where} has one pair with {plan.reference}: **no test, nothing can be said.**"
    if entry.t_holm is None:
        return f"{where}: **no t-test** ({test.note}), nothing can be said."
    p = f"p {_p_sign(entry.t_holm)} after Holm's correction"
    if not entry.significant:
        return f"{where} and {plan.reference} do **not differ significantly** ({p})."
    good = (test.mean > 0) == plan.task.higher_is_better
    word = "higher" if test.mean > 0 else "lower"
    return (
        f"{where} scores {_figure(abs(test.mean))} {word} than {plan.reference}: significantly "
        f"**{'better' if good else 'worse'}** ({p})."
    )


def _reaching(summary: ComparisonSummary) -> str:
    if not summary.reaching:
        return ""
    plan = summary.plan
    rows = [
        [
            *_condition(summary, entry.condition),
            entry.arm.name,
            f"{entry.reached} of {entry.n}",
            NONE if entry.epochs is None else f"{entry.epochs:g}",
            NONE if entry.ratio is None else f"{entry.ratio:.2f}",
        ]
        for entry in summary.reaching
    ]
    return (
        f"## Epochs to reach {plan.reference}'s best\n\nRuns whose `{plan.task.validation_metric}` got as good as the best of "
        f"{plan.reference} with the same seed; median epoch at which they did, and that epoch as a part of those that "
        f"{plan.reference} needed. Runs that never did are in neither median.\n\n"
        + _table([*_condition_names(summary), "initialisation", "reached", "epochs", "ratio"], rows)
    )


def _missing(summary: ComparisonSummary) -> str:
    if not summary.missing:
        return ""
    return "## Missing runs\n\n" + "\n".join(f"- {_indented(text)}" for text in summary.missing)


def _warnings(summary: ComparisonSummary) -> str:
    if not summary.warnings:
        return ""
    return "## Mind\n\n" + "\n".join(f"- {text}" for text in summary.warnings)


def _methods(summary: ComparisonSummary) -> str:
    plan = summary.plan
    family = sum(entry.t_holm is not None for entry in summary.differences)
    pairs = max((entry.test.n for entry in summary.differences), default=0)
    recipes = ", recipes" if _has_recipes(summary) else ""
    sentences = [
        f"Runs with the same seed and {_labels_name(plan)} share subset, order and head, so that differences are paired.",
        "Tests are two-sided: the paired t-test, on which the sentences rest, and Wilcoxon's signed-rank test. Their p "
        f"values are adjusted by Holm's method over all tested initialisations{recipes} and {_labels_name(plan)}s "
        f"({family} tests).",
        "Intervals are bootstrap intervals (BCa) of the mean difference, not adjusted, and rather too narrow for few seeds.",
        f"The spread is that between runs on one {plan.section} set: it says nothing about other patients.",
        "A run counts as settled when the last quarter of its epochs improved its best validation by at most "
        f"{_percent(plan.settled_tolerance)}.",
    ]
    if pairs > 1:
        smallest = f"With {pairs} pairs Wilcoxon's test can give no p below {2 / 2**pairs:.2g}, before any adjustment."
        sentences.insert(2, smallest)
    return "## How these figures were made\n\n" + "\n".join(f"- {sentence}" for sentence in sentences)


def _rows(summary: ComparisonSummary) -> list[dict[str, Any]]:
    plan = summary.plan
    references = {result.run.block: result for result in summary.results if result.run.arm.name == plan.reference}
    rows = []
    for result in summary.results:
        run = result.run
        reference = references.get(run.block)
        rows.append(
            {
                "arm": run.arm.name,
                "baseline": run.arm.baseline,
                **_labels_column(run.condition),
                "seed": run.seed,
                "score": result.score,
                **result.further,
                **{f"dice_{name}": dice for name, dice in result.class_dice.items()},
                "best_validation": result.best_validation,
                "best_epoch": result.best_epoch,
                "epochs": result.epochs,
                "epochs_to_reference": None if reference is None else reaching_epochs(plan, result, reference),
                "settled": result.settled,
                "seconds": result.seconds,
                "folder": str(run.folder.relative_to(plan.output_dir)),
            }
        )
    return rows


def _content(summary: ComparisonSummary) -> dict[str, Any]:
    return {
        "plan": {name: value for name, value in asdict(summary.plan).items() if not isinstance(value, Path)},
        "scores": [{**asdict(entry), "arm": entry.arm.name} for entry in summary.scores],
        "differences": [{**asdict(entry), "arm": entry.arm.name} for entry in summary.differences],
        "reaching": [{**asdict(entry), "arm": entry.arm.name} for entry in summary.reaching],
        "runs": _rows(summary),
        "missing": summary.missing,
        "warnings": summary.warnings,
    }


def _condition_names(summary: ComparisonSummary) -> list[str]:
    labels = "shots" if summary.plan.labels[0].setting == "shots" else "labels"
    return [labels, "recipe"] if _has_recipes(summary) else [labels]


def _condition(summary: ComparisonSummary, condition: Condition) -> list[str]:
    return [condition.labels.short, condition.recipe.name] if _has_recipes(summary) else [condition.labels.short]


def _has_recipes(summary: ComparisonSummary) -> bool:
    return bool(summary.plan.recipes[0].name)


def _labels_name(plan: ComparisonPlan) -> str:
    return "number of shots" if plan.labels[0].setting == "shots" else "label fraction"


def _labels_column(condition: Condition) -> dict[str, Any]:
    name = "shots" if condition.labels.setting == "shots" else "fraction"
    return {name: condition.labels.amount} | ({"recipe": condition.recipe.name} if condition.recipe.name else {})


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _name(arm: Initialisation) -> str:
    return arm.name + (MARK if arm.baseline else "")


def _interval(test: PairedTest) -> str:
    if test.low is None or test.high is None:
        return NONE
    return f"{_figure(test.low, '+')} … {_figure(test.high, '+')}"


def _spread(description: Description) -> str:
    digits = _digits(description.mean)
    spread = "" if description.sd is None else f" ± {description.sd:.{digits}f}"
    return f"{description.mean:.{digits}f}{spread}"


def _figure(value: float, sign: str = "") -> str:
    return f"{value:{sign}.{_digits(value)}f}"


def _digits(value: float) -> int:
    """Digits behind the point: four for shares of one, two for millimetres."""
    return 4 if abs(value) < 10 else 2


def _p(value: float | None) -> str:
    if value is None:
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3g}"


def _p_sign(value: float) -> str:
    return _p(value) if value < 0.001 else f"= {_p(value)}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.4g} %"


def _indented(text: str) -> str:
    """A text of several lines as one entry of a list: those behind the first as a block."""
    first, *others = text.split("\n")
    return first + ("\n\n  ```text\n" + "\n".join(f"  {line}" for line in others) + "\n  ```\n" if others else "")
