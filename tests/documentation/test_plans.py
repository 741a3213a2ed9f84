"""The plans behind docs/results can still be carried out: what they set exists."""

from __future__ import annotations

import pytest
from bundle_commands import ROOT
from models_genesis_bundle.bundle_config import check_settings
from models_genesis_bundle.comparison import planned_runs, read_plan

PLANS = sorted((ROOT / "docs" / "results").glob("*.yaml"))


def test_there_are_plans():
    assert PLANS


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_sets_what_its_configurations_have(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = read_plan(path)
    for run in planned_runs(plan):
        if run.seed == plan.seeds[0]:
            check_settings(run.training())
            check_settings(run.evaluation())
