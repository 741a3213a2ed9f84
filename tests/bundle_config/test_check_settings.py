"""What a run was asked for is refused where it would not arrive, or cannot be meant, with what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_commands import root_cause
from models_genesis_bundle.bundle_config import RunCommand, SettingsError, check_settings
from models_genesis_bundle.bundle_config.setting_types import SETTINGS, kind_of
from monai.bundle import ConfigParser

PROGRAM = "/somewhere/monai/bundle/__main__.py"
PRETRAIN, SEGMENTATION = "configs/pretrain.yaml", "configs/finetune_segmentation.yaml"
ENTRIES = (
    "pretrain",
    "finetune_segmentation",
    "finetune_classification",
    "evaluate",
    "evaluate_classification",
    "inference",
    "inference_segmentation",
    "inference_classification",
    "embed",
    "plan",
)


def check(config_file: str, *words: str) -> None:
    check_settings(RunCommand.from_arguments([PROGRAM, "run", "training", "--config_file", config_file, *words]))


def faults(config_file: str, *words: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        check(config_file, *words)
    return str(raised.value).splitlines()


@pytest.fixture(autouse=True)
def in_root(monkeypatch, root):
    monkeypatch.chdir(root)


@pytest.fixture
def overlaid(tmp_path):
    """A configuration file with an overlay of the user's own."""

    def write(text: str, config_file: str = PRETRAIN) -> str:
        (tmp_path / "own.yaml").write_text(text)
        return f"['{config_file}','{tmp_path / 'own.yaml'}']"

    return write


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("max_epohcs", r"no setting 'max_epohcs' in .*; did you mean `--max_epochs`"),
        ("train::trainr::max_epochs", r"no setting 'trainr' in .*; did you mean `--train::trainer`"),
        ("validate::handler", r"`--validate::handlers`"),
        ("zzz", r"no setting 'zzz' in configs/pretrain\.yaml\.$"),
        ("layout", r"no setting 'layout' in .*; did you mean `--split::layout`\?$"),
        ("split_file", r"no setting 'split_file' in .*; did you mean `--split::split_file`\?$"),
        ("optimizer::weight_decai", r"SGD has no argument 'weight_decai'; did you mean `--optimizer::weight_decay`\?"),
        ("volumes::zzz", r"Volumes has no argument 'zzz'; its arguments are directory, scans, "),
    ],
)
def test_unknown_settings_are_refused(override, message):
    with pytest.raises(SettingsError, match=message):
        check(PRETRAIN, f"--{override}", "1")


@pytest.mark.parametrize(
    "override", ["max_epochs", "train::trainer::max_epochs", "network_def::act", "train::handlers::0", "split#seed"]
)
def test_known_settings_and_arguments_of_components_pass(override):
    check(PRETRAIN, f"--{override}", "1")


def test_all_faults_are_told_at_once():
    words = ["--max_epochs", "2.5", "--seed", "-1", "--cube_size", "64", "--max_epohcs", "3", "--output_dir", "scan#1"]
    found = faults(PRETRAIN, *words)
    assert [line.split(": ")[0] for line in found] == [
        "--max_epohcs",
        "--output_dir scan#1",
        "cube_size",
        "seed",
        "max_epochs",
    ]


def test_none_is_refused_where_another_value_would_stay():
    (line,) = faults(SEGMENTATION, "--initial_weights", "None", "--split::split_file", "None")
    assert line.endswith("would stay. For null write `--initial_weights '$None'`.")
    (line,) = faults(SEGMENTATION, "--max_epochs", "None")
    assert line.endswith("would stay. Expected a whole number, 1 or more.")
    (line,) = faults(SEGMENTATION, "--network_def::act", "None")
    assert "MONAI ignores None, so the default would stay." in line
    check(SEGMENTATION, "--initial_weights", "$None", "--network_def::act", "$None")


@pytest.mark.parametrize(
    ("word", "read"), [("2024_03", "202403"), ("scan#1", "'scan'"), ("[a,1_0]", r"\['a', 10\]"), ("7#b", "7")]
)
def test_words_that_fire_reads_otherwise_are_refused_with_how_to_quote_them(word, read):
    quoted = f"\"'{word}'\"".replace("[", r"\[").replace("]", r"\]")
    with pytest.raises(
        SettingsError, match=rf"reads it as {read}\. To give it as text, use .*: `--dataset_dir {quoted}`"
    ):
        check(PRETRAIN, "--dataset_dir", word)
    check(PRETRAIN, "--dataset_dir", f"'{word}'")


def test_a_number_or_a_list_is_no_path_and_its_quoted_word_is():
    (line,) = faults(PRETRAIN, "--dataset_dir", "123", "--cache_dir", "/data/a_1")
    assert line == (
        "dataset_dir: expected a path, or null, found 123. To give it as text, use two kinds of quotes: "
        "`--dataset_dir \"'123'\"`."
    )
    check(PRETRAIN, "--dataset_dir", "'123'")
    assert faults(PRETRAIN, "--output_dir", "") == ["output_dir: expected a path, found ''."]


def test_a_switch_as_text_is_refused():
    check(PRETRAIN, "--resume", "true")
    assert faults(PRETRAIN, "--resume", "false") == [
        "--resume false: expected true or false; write `--resume True` or `--resume False`."
    ]


@pytest.mark.parametrize(
    ("config", "override", "value"),
    [
        ("finetune_segmentation", "label_names", "lung"),
        ("finetune_segmentation", "label_names", "[liver,liver]"),
        ("finetune_segmentation", "label_names", "[mean]"),
        ("finetune_segmentation", "split::validation_fraction", "1.5"),
        ("finetune_segmentation", "augmentation::affine::prob", "2"),
        ("finetune_segmentation", "sliding_window::sw_batch_size", "0"),
        ("finetune_classification", "class_names", "[ill,ill]"),
        ("finetune_classification", "balance", "some"),
        ("pretrain", "deformations::shuffle::prob", "2"),
        ("pretrain", "lr_scheduler::step_size", "-1"),
        ("pretrain", "training_cubes::zoom", "[2,1]"),
        ("pretrain", "scan_preprocessing::spacing", "0"),
        ("pretrain", "scan_preprocessing::intensity", "{mode: window}"),
        ("pretrain", "scan_preprocessing::intensity::upper", "high"),
        ("pretrain", "seed", "4294967296"),
        ("pretrain", "device", "gpu"),
        ("pretrain", "device", "cuda:99"),
        ("pretrain", "patience", "0"),
        ("pretrain", "learning_rate", "$float('nan')"),
        ("evaluate", "report::confidence", "2"),
        ("inference", "overlap", "1"),
        ("inference_segmentation", "sliding_window::mode", "gauss"),
        ("plan", "plan::training_cubes", "0"),
        ("plan", "plan::optimizer", "configs/optimizer_adam.yaml"),
    ],
)
def test_values_out_of_range_are_refused_by_name(config, override, value):
    (line,) = faults(f"configs/{config}.yaml", f"--{override}", value)
    assert line.startswith(f"{override}: expected ")


@pytest.mark.parametrize("device", ["cpu", "cpu:0", "$torch.device('cpu')"])
def test_devices_are_named_by_texts(device):
    check(PRETRAIN, "--device", device)


def test_expressions_are_looked_at_and_a_broken_one_is_named():
    check(PRETRAIN, "--learning_rate", "$1e-3 * @batch_size")
    assert faults(PRETRAIN, "--learning_rate", "$1e-3 * x") == [
        "learning_rate: $1e-3 * x cannot be evaluated: name 'x' is not defined."
    ]
    assert faults(PRETRAIN, "--batch_size", "$@scan_dims / 2")[0].endswith("found 1.5.")


def test_a_misspelt_key_of_an_overlay_is_refused(overlaid):
    (line,) = faults(overlaid("max_epohcs: 3\n"))
    assert line.endswith(f"max_epohcs: there is no setting 'max_epohcs' in {PRETRAIN}; did you mean `max_epochs`?")
    (line,) = faults(overlaid("split: {seed: 3}\nsplit::sed: 4\n", SEGMENTATION))
    assert "did you mean `split::seed`?" in line


def test_keys_that_something_refers_to_and_steps_and_those_of_other_configurations_pass(overlaid):
    own = "own: 3\nbatch_size: '@own'\nfinalize: []\n+initialize: []\n_note: by hand\ntraining: ['$@later']\nlater: 3\n"
    check(overlaid(own))
    check(overlaid("class_names: [a, b]\n"))
    check("['configs/pretrain.yaml','configs/ema.yaml','configs/multi_gpu.yaml']")


def test_mappings_from_numbers_are_no_places():
    check(SEGMENTATION, "--labelled_preprocessing::label_map", "{2: 1, 4: 1}")
    (line,) = faults(SEGMENTATION, "--labelled_preprocessing::label_map", "{a: 1}")
    assert line.startswith("labelled_preprocessing::label_map: expected new values of labels")


def test_a_program_without_a_command_is_left_alone():
    check_settings()


def faults_of_keywords(config_file: str, **keywords: Any) -> list[str]:
    """What a workflow of Python says to its keywords."""
    config = ConfigParser.load_config_file(config_file)
    parser = ConfigParser({**config, "checked": config["initialize"][1]})
    parser.update(keywords)
    with pytest.raises(RuntimeError) as raised:
        parser.get_parsed_content("checked")
    error = root_cause(raised.value)
    assert isinstance(error, SettingsError)
    return str(error).splitlines()


def test_keywords_of_a_python_workflow_are_checked():
    assert faults_of_keywords(
        SEGMENTATION, max_epohcs=5, **{"split::sed": 3, "optimizer::weight_decai": 1}, max_gradient_norm=-1
    ) == [
        "split::sed: no component uses this setting; did you mean `split::seed`?",
        "max_epohcs: no component uses this setting; did you mean `max_epochs`?",
        "optimizer::weight_decai: AdamW has no argument 'weight_decai'; did you mean `optimizer::weight_decay`?",
        "max_gradient_norm: expected a number, 0 or more; 0: no clipping, found -1.",
    ]
    (line,) = faults_of_keywords(PRETRAIN, validation_fraction=0.4)
    assert line.endswith("did you mean `split::validation_fraction`?")


def test_objects_and_settings_that_nothing_is_like_pass_in_a_python_workflow():
    config = ConfigParser.load_config_file(PRETRAIN)
    parser = ConfigParser({**config, "checked": config["initialize"][1]})
    parser.update({"zzz": 3, "max_epochs": 2, "train::dataset": object(), "device": torch.device("cpu")})
    assert parser.get_parsed_content("checked") is None


def literals(node: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        if isinstance(value, Mapping) and not name.startswith("_"):
            yield from literals(value, f"{above}{name}::")
        elif not name.startswith("_"):
            yield f"{above}{name}", value


def settings_of(entry: str) -> dict[str, Any]:
    """The values of a configuration that are given in it, down to what belongs to no user."""
    lines = Path(f"configs/{entry}.yaml").read_text().splitlines()
    end = next(line for line in lines if line.startswith(("# --- The run", "# --- The steps")))
    known = {line.split(":")[0] for line in lines[: lines.index(end)] if line[:1].isalpha()}
    config = {
        name: value for name, value in ConfigParser.load_config_file(f"configs/{entry}.yaml").items() if name in known
    }
    return {place: value for place, value in literals(config) if not str(value).startswith(("@", "$@", "%"))}


# What says how a component works, and not what a run is like.
STRUCTURE = {
    "imports", "keys", "label_key", "fg_indices_key", "bg_indices_key", "allow_missing_keys", "track_meta", "mode",
    "padding_mode", "spatial_axis", "spatial_dims", "in_channels", "output_activation", "transforms", "overwrite", "func",
    "otherwise", "to_onehot_y", "softmax", "pictures", "label_as_stored", "labelled", "apply_rules", "sampler", "optimizer",
    "spatial_dim", "training_config", "lower", "upper", "restored", "untouched", "step_loss",
}  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_setting_is_declared(entry):
    """Or it is a switch, which is known by its value."""
    undeclared = [
        place
        for place, value in settings_of(entry).items()
        if kind_of(place) is None
        and not isinstance(value, bool)
        and "@" not in str(value)
        and place.split("::")[-1] not in STRUCTURE
    ]
    assert undeclared == []


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_configurations_have_no_faults(entry):
    check(f"configs/{entry}.yaml")
    config = ConfigParser.load_config_file(f"configs/{entry}.yaml")
    parser = ConfigParser({**config, "checked": next(step for step in config["initialize"] if "_target_" in step)})
    assert parser.get_parsed_content("checked") is None, "as a workflow of Python"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("optimizer", "adamw"),
        ("optimizer", "{'lr': 0.1}"),
        ("network_def", "unet"),
        ("dtype", "bfloat16"),
        ("panels", "False"),
        ("cube_sampler::rule", "LungRule"),
        ("split", "{}"),
    ],
)
def test_a_component_is_not_replaced_by_a_word(place, value):
    (found,) = faults(PRETRAIN, f"--{place}", value)
    assert found.startswith(f"{place}: expected a component, such as {{'_target_': '")
    assert f"`--{place}::name value`" in found


def test_an_overlay_for_another_kind_of_run_is_refused():
    (fault,) = faults(f"['{PRETRAIN}','configs/optimizer_adam.yaml']")
    assert fault.startswith(
        "optimizer::params: @parameters refers to parameters, which none of the configurations has."
    )
    check(f"['{SEGMENTATION}','configs/optimizer_adam.yaml']")


def test_several_pretext_tasks_are_refused():
    tasks = [f"configs/pretext_{name}.yaml" for name in ("autoencoder", "masked")]
    check(str([PRETRAIN, tasks[1], "configs/optimizer_adamw.yaml"]))
    assert faults(str([PRETRAIN, *tasks])) == [
        f"config_file: expected one pretext task, found 2: {', '.join(tasks)}. Leave all but one of them out."
    ]


def test_an_overlay_replaces_components_by_components_alone(overlaid):
    (found,) = faults(
        overlaid("loss: dice\nlr_scheduler: {_target_: torch.optim.lr_scheduler.ConstantLR, optimizer: '@optimizer'}")
    )
    assert found.startswith("loss: expected a component, such as {'_target_': 'torch.nn.MSELoss', …}, found 'dice'.")
    check(
        PRETRAIN, "--scan_preprocessing::intensity", "percentile", "--features", "[8,16]", "--lr_scheduler", "'$None'"
    )


def test_a_setting_of_a_component_that_an_overlay_leaves_unused():
    files = f"['{SEGMENTATION}','configs/optimizer_muon.yaml']"
    (found,) = faults(files, "--parameters::layer_decay", "0.5")
    assert found.startswith(
        "--parameters::layer_decay: it has no effect, because the component that uses parameters is replaced."
    )
    check(files, "--optimizer::momentum", "0.9", "--foreground_prior::probability", "0.1")
    check(SEGMENTATION, "--parameters::layer_decay", "0.5")


def test_every_declaration_is_of_a_setting():
    names = (
        *ENTRIES,
        "data_zscore",
        "ema",
        "inference_trt",
        "optimizer_muon",
        "schedule_plateau",
        "schedule_warmup",
        "schedule_sawtooth",
    )
    configs = [ConfigParser.load_config_file(f"configs/{name}.yaml") for name in names]
    places = {place for config in configs for place, _ in literals(config)}
    for pattern in SETTINGS:
        assert any(kind_of(place) is SETTINGS[pattern] for place in places), pattern
