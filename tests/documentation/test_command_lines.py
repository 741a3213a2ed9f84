"""The documented commands name files, run ids, settings and options that exist; test_commands_run.py runs the runs."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path
from unittest import mock

import fire
import monai.bundle
import pytest
from bundle_commands import ROOT
from config_runs import RUNS
from models_genesis_bundle.bundle_config import RunCommand, check_settings
from monai.bundle import ConfigParser
from pages import commands, words_behind

TESTED = [
    *(names for _, _, names in RUNS),
    ["inference", "inference_trt"],  # tests/package/test_routes.py
    ["plan"],  # tests/planning/test_run.py
]
EXTRAS = {"nvflare"}  # what a script may need that the tests' environment lacks


def test_commands_are_found():
    """In blocks, in tables and in the heads of the configurations."""
    assert len(commands("monai.bundle run ")) > 40
    assert len(commands("python scripts/")) > 12
    for start in (
        "python scripts/",
        "torchrun ",
        "python -m models_genesis_bundle.auto3dseg ",
        "python -m monai.bundle run ",
    ):
        assert any(line.startswith(start) for line in commands(start)), start


@pytest.mark.parametrize("line", commands("monai.bundle run "))
def test_run_names_what_exists(line, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = words_behind(line, "monai.bundle run ")
    command = RunCommand.from_arguments(["monai/bundle/__main__.py", "run", *words])
    assert command is not None, "a run without a configuration"
    stems = tuple(Path(name).stem for name in command.config_files)
    if command.config_files[0].endswith(".json"):
        pytest.skip("a JSON twin, which the archive has: tests/package")
    if "runs/plan/plan.yaml" in command.config_files:
        pytest.skip("an overlay that a planning writes: tests/planning/test_run.py")
    assert any(stems[0] == names[0] and set(stems) <= set(names) for names in TESTED), (
        f"RUNS in test_configs lacks {stems}"
    )
    check_settings(command)
    run_id = "run" if words[0].startswith("--") else words[0]
    assert run_id in ConfigParser.load_config_files(list(command.config_files))


def offered_by(path: Path) -> object:
    """What a script or a module hands to Fire."""
    with mock.patch.object(fire, "Fire") as fired:
        try:
            runpy.run_path(str(path), run_name="__main__")
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
            pytest.skip(f"needs {error.name}, an extra")
    return fired.call_args.args[0]


def without_effect(offered: object) -> object:
    """Functions of the same signatures that do nothing."""
    if isinstance(offered, dict):
        return {name: without_effect(part) for name, part in offered.items()}
    if inspect.isclass(offered):
        methods = [name for name in vars(offered) if not name.startswith("_")]
        return {name: without_effect(getattr(offered(), name)) for name in methods}
    return mock.create_autospec(offered, return_value=None)


def require_accepted(offered: object, words: list[str]) -> None:
    """Fire itself matches the words with the signature, and ends the process where they do not fit."""
    try:
        fire.Fire(without_effect(offered), command=words, serialize=lambda result: None)
    except SystemExit as ended:
        pytest.fail(f"Fire ends with {ended.code}: {words}")


@pytest.mark.parametrize("line", commands("python scripts/"))
def test_scripts_take_the_options(line):
    script, *words = words_behind(line, "python ")
    require_accepted(offered_by(ROOT / script), words)


@pytest.mark.parametrize("line", commands("python -m models_genesis_bundle."))
def test_modules_take_the_options(line):
    module, *words = words_behind(line, "python -m ")
    require_accepted(offered_by(ROOT / module.replace(".", "/") / "__main__.py"), words)


@pytest.mark.parametrize("line", [line for line in commands("-m monai.bundle ") if "monai.bundle run" not in line])
def test_monai_has_the_command(line):
    """Exports and the download; what they take beyond their own options are settings of the configuration."""
    name, *words = words_behind(line, "-m monai.bundle ")
    require_accepted(getattr(monai.bundle, name), words)


def test_an_option_that_is_not_there_is_seen():
    with pytest.raises(pytest.fail.Exception):
        require_accepted(offered_by(ROOT / "scripts" / "make_phantoms.py"), ["--directory", "a", "--number", "8"])
