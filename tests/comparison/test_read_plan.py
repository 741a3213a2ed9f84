"""Plans: what is read, and what is refused with which words."""

from __future__ import annotations

import pytest
import yaml
from fake_commands import plan_content, write_plan
from models_genesis_bundle.comparison import PlanError, planned_runs, read_plan
from models_genesis_bundle.comparison.plan import Labels


def read(tmp_path, **changes):
    return read_plan(write_plan(tmp_path, {**plan_content(), **changes}))


def test_a_plan_gets_absolute_folders_defaults_and_sorted_fractions(tmp_path):
    plan = read(tmp_path)
    assert plan.output_dir == tmp_path / "results"
    assert plan.labels == [Labels("label_fraction", 0.5), Labels("label_fraction", 1.0)]
    assert (plan.confidence, plan.threads_per_job, plan.task.higher_is_better) == (0.95, 1, True)
    weights = {name: arm.initial_weights for name, arm in plan.initialisations.items()}
    assert weights == {"scratch": None, "genesis": "weights/genesis.pt"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_plan_may_have_the_encodings_of_editors(tmp_path, encoding):
    path = write_plan(tmp_path)
    plan = read_plan(path)
    path.write_text(path.read_text(), encoding=encoding)
    assert read_plan(path) == plan


def test_keys_given_elsewhere_replace_those_of_the_file_and_none_does_not(tmp_path):
    path = write_plan(tmp_path)
    assert read_plan(path, jobs=7).jobs == 7
    assert read_plan(path, jobs=None).jobs == 2


def test_small_fractions_come_first_and_the_arms_of_a_seed_together(tmp_path):
    runs = planned_runs(read(tmp_path))
    assert [(run.labels.amount, run.seed, run.arm) for run in runs[:5]] == [
        (0.5, 0, "scratch"),
        (0.5, 0, "genesis"),
        (0.5, 1, "scratch"),
        (0.5, 1, "genesis"),
        (1.0, 0, "scratch"),
    ]
    assert len({run.folder for run in runs}) == len(runs) == 8


def test_a_baseline_may_be_another_network_and_is_not_tested(tmp_path):
    baseline = {"initial_weights": None, "baseline": True, "configs": ["configs/other_network.yaml"]}
    plan = read(tmp_path, initialisations={"scratch": "none", "genesis": "weights/genesis.pt", "imagenet": baseline})
    assert plan.compared == ["scratch", "genesis"]


def test_plans_may_share_a_task_that_stands_in_a_file_of_its_own(tmp_path):
    task = {
        **plan_content()["task"],
        "fraction_overrides": {fraction: {"max_epochs": 4} for fraction in (0.1, 0.5, 1.0)},
    }
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(task))
    assert read(tmp_path, task="task.yaml") == read(tmp_path, task=task)
    assert read(tmp_path, task="task.yaml", label_fractions=[0.1]).task.fraction_overrides[0.1] == {"max_epochs": 4}


def test_what_is_wrong_in_the_file_of_a_task_is_said_with_its_name(tmp_path):
    with pytest.raises(PlanError, match=r"task\.yaml: the file does not exist"):
        read(tmp_path, task="task.yaml")
    (tmp_path / "task.yaml").write_text("overridez: {}")
    with pytest.raises(PlanError, match=r"task\.yaml: unknown key 'overridez'; did you mean 'overrides'"):
        read(tmp_path, task="task.yaml")


def test_shots_take_the_place_of_label_fractions(tmp_path):
    content = plan_content()
    del content["label_fractions"]
    content["task"] |= {"shots_overrides": {1: {"max_epochs": 80}, 5: {}}, "fraction_overrides": {0.1: {}}}
    plan = read_plan(write_plan(tmp_path, {**content, "shots": [5, 1]}))
    assert [str(labels) for labels in plan.labels] == ["1 shot", "5 shots"]
    assert plan.overrides_by_labels == {1: {"max_epochs": 80}, 5: {}}
    assert planned_runs(plan)[0].folder == tmp_path / "results/runs/shots_1/seed_0/scratch"


def test_every_arm_is_run_by_every_recipe(tmp_path):
    plan = read(tmp_path, label_fractions=[1.0], recipes={"plain": {}, "warm": {"overrides": {"learning_rate": 0.2}}})
    runs = planned_runs(plan)
    assert [(run.seed, run.recipe, run.arm) for run in runs[:5]] == [
        (0, "plain", "scratch"),
        (0, "plain", "genesis"),
        (0, "warm", "scratch"),
        (0, "warm", "genesis"),
        (1, "plain", "scratch"),
    ]
    assert runs[3].folder == tmp_path / "results/runs/warm/fraction_1/seed_0/genesis"
    assert str(runs[3]) == "genesis, 100 % of the labels, warm, seed 0"


ARMS = {"scratch": "none", "genesis": "weights/genesis.pt"}


def task(**changes):
    return {"task": {**plan_content()["task"], **changes}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sedes": [0]}, r"unknown key 'sedes'; did you mean 'seeds'"),
        (task(overridez={}), r"task: unknown key 'overridez'; did you mean 'overrides'"),
        ({"initialisations": {**ARMS, "x": {"weights": "a"}}}, r"initialisations.x: unknown key 'weights'"),
        (
            {"initialisations": {**ARMS, "x": {"baseline": True}}},
            r"initialisations.x: the key 'initial_weights' is missing",
        ),
        (
            {"initialisations": {**ARMS, "x": {"initial_weights": "a", "overrides": {"lr": 1}}}},
            r"initialisations.x: overrides for one arm would make it differ in more than the initialisation",
        ),
        (
            {"initialisations": {**ARMS, "../x": "none"}},
            r"initialisations.\.\./x: String should match pattern .*, found '\.\./x'",
        ),
        (
            {"initialisations": {**ARMS, "x": {"initial_weights": "none", "transfer_parts": ["encoder"]}}},
            r"initialisations.x: transfer_parts needs initial_weights, found none",
        ),
        ({"initialisations": {"scratch": "none"}}, r"initialisations: expected two or more to compare, found 1"),
        ({"reference": "scratsch"}, r"reference: 'scratsch' is no initialisation .* did you mean 'scratch'"),
        (
            {"initialisations": {**ARMS, "scratch": {"initial_weights": "none", "baseline": True}}},
            r"reference: expected an initialisation that is not a baseline, found 'scratch'",
        ),
        ({"seeds": [0, 1, 0]}, r"seeds: expected different numbers, found"),
        ({"seeds": 5}, r"seeds: should be a list, found 5"),
        ({"seeds": [-1]}, r"seeds.0: should be greater than or equal to 0, found -1"),
        ({"label_fractions": [0.1, 30]}, r"label_fractions.1: should be less than or equal to 1, found 30"),
        ({"shots": [1]}, r"expected one of the keys 'label_fractions' and 'shots', found both or neither"),
        ({"section": "training"}, r"section: should be 'test' or 'validation', found 'training'"),
        ({"recipes": {"a": {"overridez": {}}}}, r"recipes.a: unknown key 'overridez'; did you mean 'overrides'"),
        ({"recipes": {"a": {"overrides": {"shots": 3}}}}, r"recipes.a.overrides: 'shots' is set by the comparison"),
        ({"recipes": {"../a": {}}}, r"recipes.\.\./a: String should match pattern .*, found '\.\./a'"),
        ({"jobs": 0}, r"jobs: should be greater than or equal to 1, found 0"),
        ({"confidence": 95}, r"confidence: should be less than or equal to 0.9999, found 95"),
        (task(overrides={"seed": 3}), r"task.overrides: 'seed' is set by the compar"),
        (
            task(fraction_overrides={0.1: {"max_epochs": 9}}),
            r"task.fraction_overrides: expected an entry for each amount of labels, found none for 0.5, only for 0.1",
        ),
        (task(fraction_overrides={0.5: {"seed": 9}}), r"task.fraction_overrides.0.5: 'seed' is set by the comparison"),
        (task(higher_is_better="no"), r"task.higher_is_better: should be a valid boolean, found 'no'"),
        (task(training="a.yaml"), r"task.training: should be a list, found 'a.yaml'"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(tmp_path, changes, message):
    with pytest.raises(PlanError, match=message) as raised:
        read(tmp_path, **changes)
    assert str(raised.value).startswith(str(tmp_path / "plan.yaml"))


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    with pytest.raises(PlanError) as raised:
        read(tmp_path, jobs=0, seeds=[], task=["a"])
    assert [line.partition(": ")[2] for line in str(raised.value).splitlines()] == [
        "task: should be a mapping or instance of Task, found ['a'].",
        "seeds: should have at least 1 item after validation, not 0, found [].",
        "jobs: should be greater than or equal to 1, found 0.",
    ]


def test_a_missing_key_a_key_given_twice_and_no_yaml_are_refused(tmp_path):
    path = write_plan(tmp_path)
    text = path.read_text()
    path.write_text(text.replace("reference: scratch", ""))
    with pytest.raises(PlanError, match="the key 'reference' is missing"):
        read_plan(path)
    path.write_text(text + "jobs: 3\n")
    with pytest.raises(PlanError, match="the key 'jobs' is given twice"):
        read_plan(path)
    for unreadable in (b"seeds: [0", "größe: 1".encode("latin-1")):
        path.write_bytes(unreadable)
        with pytest.raises(PlanError, match=r"plan\.yaml: not a readable YAML file"):
            read_plan(path)
    with pytest.raises(PlanError, match="the file does not exist"):
        read_plan(tmp_path / "no.yaml")
