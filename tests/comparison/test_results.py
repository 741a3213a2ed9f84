"""What a run's files and learning curve say."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from fake_commands import plan_content, write_plan
from models_genesis_bundle.comparison import ComparisonError, planned_runs, read_plan
from models_genesis_bundle.comparison.results import has_settled, results_table
from models_genesis_bundle.comparison.run import RunRecord

RECORD = RunRecord(training=(), initial_weights=None, seconds=90.0)


def curve(*values):
    return pd.Series(values, index=range(1, len(values) + 1))


@pytest.mark.parametrize(
    ("values", "settled"),
    [
        ((0.2, 0.6, 0.8, 0.79, 0.78, 0.79, 0.80, 0.79), True),  # best long ago
        ((0.2, 0.6, 0.7, 0.75, 0.79, 0.8, 0.8, 0.803), True),  # still creeping, by less than a hundredth
        ((0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), False),  # still climbing
        ((0.8, 0.7, 0.6), False),  # too short to tell
    ],
)
def test_settled(values, settled):
    assert has_settled(curve(*values), 0.01) is settled
    assert has_settled(curve(*values) - 1, tolerance=0.02) is settled, "a loss that falls to 0"


def test_settled_with_few_validations_of_a_long_run():
    assert has_settled(pd.Series([0.5, 0.8, 0.8, 0.8], [10, 20, 30, 40]), 0.01)
    assert not has_settled(pd.Series([0.5, 0.6, 0.7, 0.8], [10, 20, 30, 40]), 0.01)


def leave(run, *validations, metrics=None, **summary):
    run.evaluation_dir.mkdir(parents=True)
    metrics = {"dice_mean": 0.7} if metrics is None else metrics
    summary |= {"metrics": {name: {"mean": mean} for name, mean in metrics.items()}}
    run.summary_path.write_text(json.dumps(summary))
    lines = [f"{epoch},{value}" for epoch, value in enumerate(validations, start=1)]
    (run.folder / "metrics.csv").write_text("\n".join(["epoch,val_mean_dice", *lines]) + "\n")


def table_of(tmp_path, curves, **task):
    content = {**plan_content(), "seeds": [0], "label_fractions": [1.0]}
    content["task"] |= task
    plan = read_plan(write_plan(tmp_path, content))
    for run, values in zip(planned_runs(plan), curves, strict=True):
        leave(run, *values)
    return results_table(plan, [(run, RECORD) for run in planned_runs(plan)])


def test_a_row_says_what_came_of_a_run(tmp_path):
    scratch, genesis = table_of(tmp_path, [(0.1, 0.5, 0.5, 0.2), (0.4, 0.5, 0.6, 0.6)]).to_dict("records")
    assert (scratch["best_epoch"], scratch["best_validation"]) == (2, 0.5), "the first of equals"
    assert (scratch["epochs"], scratch["epochs_to_reference"], scratch["seconds"]) == (4, 2, 90)
    assert (genesis["best_epoch"], genesis["epochs_to_reference"], genesis["settled"]) == (3, 2, True)
    assert genesis["folder"] == "runs/fraction_1/seed_0/genesis"


def test_where_lower_is_better_and_where_the_reference_is_not_reached(tmp_path):
    table = table_of(tmp_path, [(0.3, 0.1, 0.1, 0.2), (0.4, 0.3, 0.2, 0.2)], higher_is_better=False)
    assert table["best_epoch"].tolist() == [2, 3]
    assert table["best_validation"].tolist() == [0.1, 0.2]
    np.testing.assert_array_equal(table["epochs_to_reference"], [2, np.nan])


def test_without_the_reference_there_is_nothing_to_reach(tmp_path):
    plan = read_plan(write_plan(tmp_path))
    run = planned_runs(plan)[1]
    leave(run, 0.5, 0.6)
    assert results_table(plan, [(run, RECORD)])["epochs_to_reference"].isna().all()


def test_a_validation_without_a_value_is_no_point_of_the_curve(tmp_path):
    row = table_of(tmp_path, [("nan", 0.5, 0.6), (0.5, "", 0.6)]).to_dict("records")[0]
    assert row["curve"].to_dict() == {2: 0.5, 3: 0.6}
    assert row["epochs"] == 3


def test_the_dice_of_each_class_is_read(tmp_path):
    plan = read_plan(write_plan(tmp_path))
    run = planned_runs(plan)[0]
    metrics = {"dice_mean": 0.4, "dice_cord": 0.0, "dice_lung": 0.8, "hd95_mm_cord": None}
    leave(run, 0.5, metrics=metrics, settings={"label_names": ["cord", "lung"]})
    (row,) = results_table(plan, [(run, RECORD)]).to_dict("records")
    assert {name: value for name, value in row.items() if name.startswith("class_dice_")} == {
        "class_dice_cord": 0.0,
        "class_dice_lung": 0.8,
    }


def test_metrics_that_a_run_has_not_left_are_named(tmp_path):
    plan = read_plan(write_plan(tmp_path))
    first, second, third = planned_runs(plan)[:3]
    leave(first, 0.5, metrics={"dice_maen": 0.5})
    with pytest.raises(
        ComparisonError, match=r"there is no metric 'dice_mean' \(task.metric\) in this file; did you mean 'dice_maen'"
    ):
        results_table(plan, [(first, RECORD)])
    leave(second, 0.5, metrics={"dice_mean": None})
    with pytest.raises(ComparisonError, match=r"dice_mean is not a number \(NaN\), because no case has a value"):
        results_table(plan, [(second, RECORD)])
    leave(third, 0.5)
    (third.folder / "metrics.csv").unlink()
    with pytest.raises(
        ComparisonError,
        match=r"no numeric column 'val_mean_dice' \(task.validation_metric\) in this file; known are none",
    ):
        results_table(plan, [(third, RECORD)])
