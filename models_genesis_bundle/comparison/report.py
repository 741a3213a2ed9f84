"""The report of a comparison: Markdown, a CSV of the runs, JSON and plots."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import indent
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
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

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]
MARK = "†"  # for a baseline
NONE = "–"
HEADERS = {"fraction": "labels", "arm": "initialisation"}


@dataclass(frozen=True)
class Comparison:
    """The finished part of a comparison.

    Args:
        plan: the plan.
        table: a row for each finished run, see `results_table`.
        statistics: statistics of the table.
        missing: a text about each unfinished run.
        cautions: warnings for the reader.
    """

    plan: ComparisonPlan
    table: pd.DataFrame
    statistics: Statistics
    missing: Sequence[str] = ()
    cautions: Sequence[str] = ()


def score_cautions(plan: ComparisonPlan, scores: pd.DataFrame) -> list[str]:
    """Warn of arms with runs that had not settled, or that miss a class; see ``Statistics.scores``."""
    cautions = []
    for row in scores.to_dict("records"):
        where, runs = f"{row['arm']} at {condition(plan, row)}", row["runs"]
        if row["settled"] < runs:
            cautions.append(
                f"{where}: {runs - row['settled']} of {runs} runs had not settled when they ended: they were still improving, "
                "or too short to judge. Train longer before you rely on these scores."
            )
        if row["missed"]:
            start = f"missed_{CLASS_DICE}"
            missed = {name.removeprefix(start): row[name] for name in row if name.startswith(start)}
            classes = ", ".join(f"{name} ({count})" for name, count in missed.items() if count)
            cautions.append(
                f"{where}: {row['missed']} of {runs} runs miss a class: {classes}. This dominates the mean score. "
                "Find a recipe that learns every class."
            )
    return cautions


def write_report(comparison: Comparison) -> None:
    """Write the report into the plan's ``results_dir``, each file atomically."""
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
    """The report in Markdown: tables and sentences."""
    plan, statistics = comparison.plan, comparison.statistics
    folders = [plan.output_dir / folder for folder in comparison.table.get("folder", ())]
    differences = [
        {
            "reference": reference,
            "table": _table_of_tests(plan, tests),
            "sentences": [
                f"{condition(plan, row, over)}: {_sentence(plan, row, row[over], reference)}" for row in rows
            ],
            "tests": tests["t_holm"].count(),
            "pairs": tests["pairs"].max(),
        }
        for over, reference, tests in (
            ("arm", plan.reference, statistics.differences),
            ("recipe", next(iter(plan.recipes), ""), statistics.recipe_differences),
        )
        if (rows := tests.to_dict("records"))
    ]
    loader = PackageLoader("models_genesis_bundle.comparison", "")
    environment = Environment(loader=loader, trim_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined)
    return environment.get_template("results.md.jinja").render(
        plan=plan,
        finished=len(comparison.table),
        planned=len(planned_runs(plan)),
        tested=sum((folder / "test" / "summary.json").is_file() for folder in folders),
        mark=MARK,
        unlearnt=f"{UNLEARNT_DICE:g}",
        **_tables_of_scores(plan, statistics.scores),
        differences=differences,
        reaching=_table(
            plan,
            statistics.reaching,
            ("reached", "{reached} of {pairs}".format_map),
            ("epochs", lambda row: NONE if pd.isna(row["epochs"]) else f"{row['epochs']:g}"),
            ("ratio", lambda row: NONE if pd.isna(row["ratio"]) else f"{row['ratio']:.2f}"),
        ),
        needed=_table(
            plan,
            statistics.label_efficiency,
            ("seeds", "{seeds}".format_map),
            (f"{plan.reference} needs", lambda row: _needed(plan, row["needed"])),
            (_interval_of(plan), lambda row: f"{_needed(plan, row['low'])} … {_needed(plan, row['high'])}"),
        ),
        missing=[_indented(text) for text in comparison.missing],
        cautions=comparison.cautions,
    )


def _tables_of_scores(plan: ComparisonPlan, scores: pd.DataFrame) -> dict[str, str]:
    table = _table(
        plan,
        scores,
        ("runs", "{runs}".format_map),
        ("mean ± sd", lambda row: _spread(row["mean"], row["sd"])),
        ("median", lambda row: _value(row["median"])),
        ("best", lambda row: _value(row["best"])),
        ("settled", "{settled} of {runs}".format_map),
        ("best epoch", "{best_epoch:g}".format_map),
        ("minutes", lambda row: f"{row['seconds'] / 60:.1f}"),
    )
    classes = [(name.removeprefix(CLASS_DICE), partial(_metric, name)) for name in scores if f"missed_{name}" in scores]
    missed = ("runs that miss a class", "{missed} of {runs}".format_map)
    further = [(f"`{name}`", partial(_metric, name)) for name in plan.task.further_metrics]
    return {
        "scores": table,
        "classes": _table(plan, scores, *classes, missed) if classes else "",
        "further": _table(plan, scores, *further) if further else "",
    }


def _table_of_tests(plan: ComparisonPlan, tests: pd.DataFrame) -> str:
    return _table(
        plan,
        tests,
        ("pairs", "{pairs}".format_map),
        ("difference", lambda row: _value(row["difference"], "+")),
        (
            _interval_of(plan),
            lambda row: NONE if pd.isna(row["low"]) else f"{_value(row['low'], '+')} … {_value(row['high'], '+')}",
        ),
        ("t-test p", lambda row: _p(row["t_p"])),
        ("Holm", lambda row: _p(row["t_holm"])),
        ("Wilcoxon p", lambda row: _p(row["wilcoxon_p"])),
        ("Holm", lambda row: _p(row["wilcoxon_holm"])),
    )


def _sentence(plan: ComparisonPlan, row: Row, name: str, reference: str) -> str:
    if row["pairs"] == 1:
        return f"{name} has one pair with {reference}: **no test, no conclusion.**"
    if pd.isna(row["t_holm"]):
        return f"{name}: **no t-test** ({row['note']}), no conclusion."
    p = f"p {'' if row['t_holm'] < 0.001 else '= '}{_p(row['t_holm'])} after Holm's correction"
    if not row["significant"]:
        return f"{name} and {reference} do **not differ significantly** ({p})."
    good = (row["difference"] > 0) == plan.task.higher_is_better
    return (
        f"{name} scores {_value(abs(row['difference']))} {'higher' if row['difference'] > 0 else 'lower'} than {reference}: "
        f"significantly **{'better' if good else 'worse'}** ({p})."
    )


def _table(plan: ComparisonPlan, table: pd.DataFrame, *columns: Column) -> str:
    """A table in Markdown with the conditions of the rows and the given columns; "" without rows."""
    keys = group_columns(plan)
    headers = [*(HEADERS.get(name, name) for name in keys), *(header for header, _ in columns)]
    rows = []
    for row in table.to_dict("records"):
        names = [row[name] for name in keys[1:-1]]
        arm = row["arm"] + (f" {MARK}" if plan.initialisations[row["arm"]].baseline else "")
        rows.append([labels_of(plan, row).short, *names, arm, *(cell(row) for _, cell in columns)])
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True) if rows else ""


def _metric(name: str, row: Row) -> str:
    runs, missed = row[f"{name}_runs"], row.get(f"missed_{name}", 0)
    of_some = f" ({runs} runs)" if 0 < runs < row["runs"] else ""
    return _spread(row[name], row[f"{name}_sd"]) + of_some + (f" ({missed} missed)" if missed else "")


def _needed(plan: ComparisonPlan, amount: float) -> str:
    fewest, most = plan.labels[0], plan.labels[-1]
    if not 0 < amount < math.inf:
        return NONE if pd.isna(amount) else f"> {most.short}" if amount else f"< {fewest.short}"
    return Labels(fewest.setting, float(f"{amount:.2g}")).short


def _interval_of(plan: ComparisonPlan) -> str:
    return f"{100 * plan.confidence:.4g} % interval"


def _spread(mean: float, sd: float) -> str:
    if pd.isna(mean):
        return NONE
    return _value(mean) + ("" if pd.isna(sd) else f" ± {sd:.{_digits(mean)}f}")


def _value(value: float, sign: str = "") -> str:
    return f"{value:{sign}.{_digits(value)}f}"


def _digits(value: float) -> int:
    """Digits after the point: four for values within 0 … 1, two for millimetres."""
    return 4 if abs(value) < 10 else 2


def _p(value: float) -> str:
    if pd.isna(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3g}"


def _indented(text: str) -> str:
    """A text as one entry of a Markdown list, with its further lines as a block."""
    first, _, others = text.partition("\n")
    return f"{first}\n\n  ```text\n{indent(others, '  ')}\n  ```\n" if others else first
