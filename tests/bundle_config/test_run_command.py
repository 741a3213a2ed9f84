"""The command line of a run, and the last line of its traceback."""

from __future__ import annotations

import sys

import fire
import pytest
from models_genesis_bundle.bundle_config import RunCommand
from models_genesis_bundle.bundle_config.run_command import end_tracebacks_with_the_cause
from monai.bundle import ConfigParser, ConfigWorkflow, create_workflow

PROGRAM = "/somewhere/monai/bundle/__main__.py"
PRETRAIN = "configs/pretrain.yaml"


def command(*words):
    return RunCommand.from_arguments([PROGRAM, "run", "training", *words])


@pytest.fixture(autouse=True)
def in_root(monkeypatch, root):
    monkeypatch.chdir(root)


def test_reads_files_and_overrides_as_fire_does():
    found = command(
        "--config_file", "['configs/pretrain.yaml','configs/optimizer_muon.yaml']", "--max-epochs=3", "--resume",
        "--dataset_dir", "/scans", "--tracking", "mlflow",
    )  # fmt: skip
    assert found.config_files == (PRETRAIN, "configs/optimizer_muon.yaml")
    assert found.overrides == {"max_epochs": 3, "resume": True, "dataset_dir": "/scans"}
    assert found.run_id == "training"
    resolved = found.resolved_config()
    assert resolved["max_epochs"] == 3
    assert resolved["optimizer"]["weight_decay"] == 0.1, "of the overlay"


def test_one_hyphen_is_as_good_as_two_for_fire():
    found = command(
        "--config_file", PRETRAIN, "-max_epochs", "3", "-seed=4", "-resume", "-cube-size", "[8,8]", "-lr", "-1"
    )
    assert found.overrides == {"max_epochs": 3, "seed": 4, "resume": True, "cube_size": [8, 8], "lr": -1}
    component = fire.Fire(lambda **settings: settings, [f"-{name}={value}" for name, value in found.overrides.items()])
    assert component == found.overrides


def test_another_program_is_left_alone():
    assert RunCommand.from_arguments(["/bin/pytest", "run", "--config_file", "x.yaml"]) is None


def test_arguments_file(tmp_path):
    (tmp_path / "args.yaml").write_text(f"config_file: {PRETRAIN}\nbatch_size: 3\noutput_activation: null\nseed: 1\n")
    found = command("--args_file", str(tmp_path / "args.yaml"), "--seed", "4", "--batch_size", "None")
    assert found.overrides == {"batch_size": 3, "output_activation": None, "seed": 4}, "as MONAI merges them"


class NotStarted(ConfigWorkflow):
    def initialize(self):
        return []


def test_it_holds_what_monai_takes_over():
    """MONAI drops a None, so that the value of the files stays; ``$None`` becomes null."""
    found = command(
        "--config_file", PRETRAIN, "--output_activation", "None", "--max_epochs", "7", "--dataset_dir", "$None"
    )
    settings = {"output_activation": None, "max_epochs": 7, "dataset_dir": "$None"}
    workflow = create_workflow(NotStarted, config_file=PRETRAIN, **settings)
    resolved = found.resolved_config()
    assert {name: workflow.parser[name] for name in resolved} == resolved
    assert workflow.parser.get_parsed_content("output_activation") == "sigmoid"
    assert workflow.parser.get_parsed_content("dataset_dir") is None


def printed(monkeypatch, capsys, error: BaseException) -> list[str]:
    monkeypatch.setattr(sys, "excepthook", None)
    end_tracebacks_with_the_cause()
    sys.excepthook(type(error), error, error.__traceback__)
    return capsys.readouterr().err.splitlines()


def caught(config) -> BaseException:
    try:
        ConfigParser(config).get_parsed_content("run")
    except RuntimeError as error:
        return error
    raise AssertionError


def test_what_monai_wraps_is_said_last(monkeypatch, capsys):
    component = {"_target_": "models_genesis_bundle.engines.GradientClipping", "max_norm": -1}
    error = caught({"clipping": component, "run": "$print(@clipping)"})
    lines = printed(monkeypatch, capsys, error)
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("ValueError: max_norm: expected a number above 0")


def test_an_error_with_a_cause_of_its_own_is_not_taken_apart(monkeypatch, capsys):
    error = RuntimeError("what to do")
    error.__cause__ = ValueError("why")
    assert printed(monkeypatch, capsys, error)[-1] == "RuntimeError: what to do"
