import pytest

from models_genesis_bundle.bundle_config import RunCommand, SettingsError, check_settings

PROGRAM = "/somewhere/monai/bundle/__main__.py"


def command(root, *words):
    return RunCommand.from_arguments([PROGRAM, "run", "training", *words])


@pytest.fixture(autouse=True)
def in_root(monkeypatch, root):
    monkeypatch.chdir(root)


def test_reads_files_and_overrides_as_fire_does(root):
    found = command(
        root, "--config_file", "['configs/pretrain.yaml','configs/optimizer_muon.yaml']", "--max-epochs=3", "--resume",
        "--dataset_dir", "/scans", "--tracking", "mlflow",
    )  # fmt: skip
    assert found.config_files == ("configs/pretrain.yaml", "configs/optimizer_muon.yaml")
    assert found.overrides == {"max_epochs": 3, "resume": True, "dataset_dir": "/scans"}
    resolved = found.resolved_config()
    assert resolved["max_epochs"] == 3
    assert resolved["optimizer"]["weight_decay"] == 0.1, "of the overlay"


def test_another_program_is_left_alone():
    assert RunCommand.from_arguments(["/bin/pytest", "run", "--config_file", "x.yaml"]) is None


def test_arguments_file(root, tmp_path):
    (tmp_path / "args.yaml").write_text("config_file: configs/pretrain.yaml\nbatch_size: 3\n")
    found = command(root, "--args_file", str(tmp_path / "args.yaml"), "--seed", "4")
    assert found.overrides == {"batch_size": 3, "seed": 4}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("max_epohcs", r"called 'max_epohcs'; did you mean `--max_epochs`"),
        ("train::trainr::max_epochs", r"called 'trainr'; did you mean `--train::trainer`"),
        ("validate::handler", r"`--validate::handlers`"),
        ("zzz", r"called 'zzz'\.$"),
    ],
)
def test_unknown_settings_are_refused(root, override, message):
    with pytest.raises(SettingsError, match=message):
        check_settings(command(root, "--config_file", "configs/pretrain.yaml", f"--{override}", "1"))


@pytest.mark.parametrize(
    "override", ["max_epochs", "train::trainer::max_epochs", "network_def::act", "train::handlers::0"]
)
def test_known_settings_and_arguments_of_components_pass(root, override):
    check_settings(command(root, "--config_file", "configs/pretrain.yaml", f"--{override}", "1"))


def test_a_switch_as_text_is_refused(root):
    check_settings(command(root, "--config_file", "configs/pretrain.yaml", "--resume", "true"))
    with pytest.raises(
        ValueError, match=r"--resume false: this is a switch; write `--resume True` or `--resume False`"
    ):
        check_settings(command(root, "--config_file", "configs/pretrain.yaml", "--resume", "false"))
