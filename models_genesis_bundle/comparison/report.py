"""The report of a comparison: Markdown with tables and sentences, a CSV of the runs, JSON and plots."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
from models_genesis_bundle.comparison.plan import ComparisonPlan, Labels
from models_genesis_bundle.comparison.plots import curves_figure, scores_figure
from models_genesis_bundle.comparison.results import CLASS_DICE, condition, group_columns, labels_of
from models_genesis_bundle.comparison.run import planned_runs
from models_genesis_bundle.comparison.statistics import Statistics
from models_genesis_bundle.engines import UNLEARNT_DICE
from models_genesis_bundle.files import whole_file
from models_genesis_bundle.reports.case_handler import write_summary
from models_genesis_bundle.visualize import save_figure
from tabulate import tabulate

__all__ = ["Comparison", "markdown", "write_report"]

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]
MARK = " †"
NONE = "–"
HEADERS = {"fraction": "labels", "arm": "initialisation"}


@dataclass(frozen=True)
class Comparison:
    """The finished part of a comparison.

    Args:
        plan: what was compared.
        table: a row for each finished run, see `results_table`.
        statistics: of the table.
        missing: a text about each unfinished run.
        cautions: warnings for the reader.
    """

    plan: ComparisonPlan
    table: pd.DataFrame
    statistics: Statistics
    missing: Sequence[str] = ()
    cautions: Sequence[str] = ()


def write_report(comparison: Comparison) -> None:
    """Write the report into the plan's ``results_dir``, each file atomically.

    The files are ``results.md``, ``results.csv`` (a row for each run), ``results.json`` (the plan and all values),
    ``scores.png`` and ``learning_curves.png``.
    """
    plan, folder = comparison.plan, comparison.plan.results_dir
    runs = comparison.table.drop(columns="curve", errors="ignore")
    with whole_file(folder / "results.csv") as unfinished:
        runs.to_csv(unfinished, index=False, float_format="%.8g")
    with whole_file(folder / "results.md") as unfinished:
        unfinished.write_text(markdown(comparison), encoding="utf-8")
    tables = {name: table.to_dict("records") for name, table in vars(comparison.statistics).items()}
    content = {"plan": plan.model_dump(mode="json"), **tables, "runs": runs.to_dict("records")}
    content |= {"missing": comparison.missing, "cautions": comparison.cautions}
    write_summary(folder / "results.json", content)
    save_figure(scores_figure(plan, comparison.table), folder / "scores.png")
    save_figure(curves_figure(plan, comparison.table), folder / "learning_curves.png")


def markdown(comparison: Comparison) -> str:
    """Tables and sentences, ready for the appendix of a paper."""
    plan, statistics = comparison.plan, comparison.statistics
    sections = (
        _introduction(comparison),
        _scores(plan, statistics.scores),
        _classes(plan, statistics.scores),
        _further(plan, statistics.scores),
        _differences(plan, statistics.differences, "arm", plan.reference),
        _differences(plan, statistics.recipe_differences, "recipe", next(iter(plan.recipes), "")),
        _reaching(plan, statistics.reaching),
        _label_efficiency(plan, statistics.label_efficiency),
        _listed("Missing runs", [_indented(text) for text in comparison.missing]),
        _listed("Mind", comparison.cautions),
        _methods(comparison),
    )
    return "\n\n".join(text for text in sections if text) + "\n"


def _introduction(comparison: Comparison) -> str:
    plan, table, missing = comparison.plan, comparison.table, comparison.missing
    better = "higher" if plan.task.higher_is_better else "lower"
    text = (
        f"# {plan.task.name}: comparison of initialisations\n\n"
        f"Score: `{plan.task.metric}` on the {plan.section} patients, {better} is better. Reference: {plan.reference}. "
        f"{len(table)} of {len(planned_runs(plan))} runs are finished"
        + (f"; **{len(missing)} are missing, this is a part of the comparison.**" if missing else ".")
    )
    if plan.section == "test":
        return text
    tested = sum((plan.output_dir / folder / "test" / "summary.json").is_file() for folder in table.get("folder", ()))
    return f"{text}\n\nThese scores are for choosing: the best epoch was chosen on the same patients. " + (
        f"{tested} of the runs were scored on test patients as well." if tested else "Test patients were not touched."
    )


def _scores(plan: ComparisonPlan, scores: pd.DataFrame) -> str:
    if scores.empty:
        return ""
    table = _table(
        plan,
        scores,
        ("runs", lambda row: str(row["runs"])),
        ("mean ± sd", lambda row: _spread(row["mean"], row["sd"])),
        ("median", lambda row: _value(row["median"])),
        ("best", lambda row: _value(row["best"])),
        ("settled", lambda row: f"{row['settled']} of {row['runs']}"),
        ("best epoch", lambda row: f"{row['best_epoch']:g}"),
        ("minutes", lambda row: f"{row['seconds'] / 60:.1f}"),
    )
    note = f"\n\n{MARK.strip()} another network: shown for orientation, outside of all tests."
    return f"## Scores\n\n{table}" + (note if MARK in table else "")


def _classes(plan: ComparisonPlan, scores: pd.DataFrame) -> str:
    names = [name.removeprefix("missed_") for name in scores if name.startswith("missed_")]
    if not names:
        return ""
    columns = [(name.removeprefix(CLASS_DICE), partial(_metric, name)) for name in names]
    missed = ("runs that miss a class", lambda row: f"{row['missed']} of {row['runs']}")
    return (
        "## Dice by class\n\nMean ± sd over the runs; not tested. A run misses a class when its mean Dice is below "
        f"{UNLEARNT_DICE:g}.\n\n{_table(plan, scores, *columns, missed)}"
    )


def _further(plan: ComparisonPlan, scores: pd.DataFrame) -> str:
    columns = [(f"`{name}`", partial(_metric, name)) for name in plan.task.further_metrics]
    if not columns or scores.empty:
        return ""
    return f"## Further metrics\n\nMean ± sd over the runs; not tested.\n\n{_table(plan, scores, *columns)}"


def _metric(name: str, row: Row) -> str:
    """A further metric or a class's Dice: its mean ± sd, and the number of runs without it."""
    runs, missed = row[f"{name}_runs"], row.get(f"missed_{name}", 0)
    of_some = f" ({runs} runs)" if 0 < runs < row["runs"] else ""
    return _spread(row[name], row[f"{name}_sd"]) + of_some + (f" ({missed} missed)" if missed else "")


def _differences(plan: ComparisonPlan, tests: pd.DataFrame, over: str, reference: str) -> str:
    if tests.empty:
        return ""
    table = _table(
        plan,
        tests,
        ("pairs", lambda row: str(row["pairs"])),
        ("difference", lambda row: _value(row["difference"], "+")),
        (f"{_percent(plan.confidence)} interval", _interval),
        ("t-test p", lambda row: _p(row["t_p"])),
        ("Holm", lambda row: _p(row["t_holm"])),
        ("Wilcoxon p", lambda row: _p(row["wilcoxon_p"])),
        ("Holm", lambda row: _p(row["wilcoxon_holm"])),
    )
    return f"## Differences from {reference}\n\n{table}\n\n" + "\n".join(
        f"- {condition(plan, row, over)}: {_sentence(plan, row, row[over], reference)}"
        for row in tests.to_dict("records")
    )


def _sentence(plan: ComparisonPlan, row: Row, name: str, reference: str) -> str:
    if row["pairs"] == 1:
        return f"{name} has one pair with {reference}: **no test, nothing can be said.**"
    if pd.isna(row["t_holm"]):
        return f"{name}: **no t-test** ({row['note']}), nothing can be said."
    p = f"p {'' if row['t_holm'] < 0.001 else '= '}{_p(row['t_holm'])} after Holm's correction"
    if not row["significant"]:
        return f"{name} and {reference} do **not differ significantly** ({p})."
    good = (row["difference"] > 0) == plan.task.higher_is_better
    return (
        f"{name} scores {_value(abs(row['difference']))} {'higher' if row['difference'] > 0 else 'lower'} than {reference}: "
        f"significantly **{'better' if good else 'worse'}** ({p})."
    )


def _reaching(plan: ComparisonPlan, reaching: pd.DataFrame) -> str:
    if reaching.empty:
        return ""
    table = _table(
        plan,
        reaching,
        ("reached", lambda row: f"{row['reached']} of {row['pairs']}"),
        ("epochs", lambda row: NONE if pd.isna(row["epochs"]) else f"{row['epochs']:g}"),
        ("ratio", lambda row: NONE if pd.isna(row["ratio"]) else f"{row['ratio']:.2f}"),
    )
    return (
        f"## Epochs to reach {plan.reference}'s best\n\nRuns whose `{plan.task.validation_metric}` got as good as the best of "
        f"{plan.reference} with the same seed; median epoch at which they did, and that epoch as a part of those that "
        f"{plan.reference} needed. Runs that never did are in neither median.\n\n{table}"
    )


def _label_efficiency(plan: ComparisonPlan, needed: pd.DataFrame) -> str:
    if needed.empty:
        return ""

    def amount(value: float) -> str:
        fewest, most = plan.labels[0], plan.labels[-1]
        if not 0 < value < math.inf:
            return NONE if pd.isna(value) else f"> {most.short}" if value else f"< {fewest.short}"
        return Labels(fewest.setting, float(f"{value:.2g}")).short

    table = _table(
        plan,
        needed,
        ("seeds", lambda row: str(row["seeds"])),
        (f"{plan.reference} needs", lambda row: amount(row["needed"])),
        (f"{_percent(plan.confidence)} interval", lambda row: f"{amount(row['low'])} … {amount(row['high'])}"),
    )
    return (
        f"## Labels that {plan.reference} needs for the same score\n\nRead from the means of {plan.reference}, joined by straight "
        f"lines over the logarithm of the labels; the interval is a bootstrap over seeds.\n\n{table}"
    )


def _methods(comparison: Comparison) -> str:
    plan, statistics = comparison.plan, comparison.statistics
    tables = [table for table in (statistics.differences, statistics.recipe_differences) if not table.empty]
    pairs = max((table["pairs"].max() for table in tables), default=0)
    families = " and ".join(str(table["t_holm"].count()) for table in tables) or "0"
    labels = "number of shots" if plan.shots else "label fraction"
    sentences = [
        f"Runs with the same seed and {labels} share subset, order and head, so that differences are paired.",
        "Tests are two-sided: the paired t-test, on which the sentences rest, and Wilcoxon's signed-rank test. Their p "
        f"values are adjusted by Holm's method over all rows of a table ({families} tests).",
        *(
            [f"With {pairs} pairs Wilcoxon's test can give no p below {2 / 2**pairs:.2g}, before any adjustment."]
            if pairs > 1
            else []
        ),
        "Intervals are bootstrap intervals (BCa) of the mean difference, not adjusted, and rather too narrow for few seeds.",
        f"The spread is that between runs on one {plan.section} set: it says nothing about other patients.",
        "A run counts as settled when the last quarter of its epochs improved its best validation by at most "
        f"{_percent(plan.settled_tolerance)}.",
    ]
    return _listed("How these results were made", sentences)


def _table(plan: ComparisonPlan, table: pd.DataFrame, *columns: Column) -> str:
    """The rows of a table in Markdown: their conditions, and the given columns."""
    keys = group_columns(plan)
    headers = [*(HEADERS.get(name, name) for name in keys), *(header for header, _ in columns)]
    rows = []
    for row in table.to_dict("records"):
        names = [row[name] for name in keys[1:-1]]
        arm = row["arm"] + (MARK if plan.initialisations[row["arm"]].baseline else "")
        rows.append([labels_of(plan, row).short, *names, arm, *(cell(row) for _, cell in columns)])
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _listed(title: str, entries: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {entry}" for entry in entries) if entries else ""


def _interval(row: Row) -> str:
    return NONE if pd.isna(row["low"]) else f"{_value(row['low'], '+')} … {_value(row['high'], '+')}"


def _spread(mean: float, sd: float) -> str:
    digits = _digits(mean)
    return NONE if pd.isna(mean) else f"{mean:.{digits}f}" + ("" if pd.isna(sd) else f" ± {sd:.{digits}f}")


def _value(value: float, sign: str = "") -> str:
    return f"{value:{sign}.{_digits(value)}f}"


def _digits(value: float) -> int:
    """Digits after the point: four for values within 0 … 1, two for millimetres."""
    return 4 if abs(value) < 10 else 2


def _p(value: float) -> str:
    if pd.isna(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _indented(text: str) -> str:
    """A text of several lines as one entry of a list: those after the first as a block."""
    first, *others = text.split("\n")
    return first + ("\n\n  ```text\n" + "\n".join(f"  {line}" for line in others) + "\n  ```\n" if others else "")
